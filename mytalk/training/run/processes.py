"""Shares a run among processes, through accelerate: one here, or as many as ``torchrun`` started."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from mytalk.errors import MyTalkError, OptionError
from mytalk.training.run.config import Precision


class Processes:
    """Wraps what the loop needs of torch.distributed and mixed precision. Within ``with``; every process calls
    alike."""

    def __init__(self, device: str, precision: Precision) -> None:
        try:
            from accelerate import Accelerator  # type: ignore[import-untyped]
        except ImportError as error:
            raise MyTalkError("training needs accelerate: pip install 'mytalk-streamer[train]'") from error
        if device not in ("auto", "cpu", "cuda"):
            raise OptionError(f"device {device!r}: need auto, cpu or cuda (CUDA_VISIBLE_DEVICES chooses among GPUs)")
        if device == "cuda" and not torch.cuda.is_available():
            raise OptionError("device 'cuda': this machine has none; use --device cpu")
        if precision == "fp16" and (device == "cpu" or not torch.cuda.is_available()):
            raise OptionError("precision 'fp16': needs a GPU; use bf16 or no")
        self._accelerator = Accelerator(mixed_precision=precision, cpu=device == "cpu")
        self.device: torch.device = self._accelerator.device
        self.index: int = self._accelerator.process_index
        self.count: int = self._accelerator.num_processes
        self.scaler: torch.amp.GradScaler | None = self._accelerator.scaler

    @property
    def first(self) -> bool:
        """Says whether this is the process that writes files."""
        return self.index == 0

    def prepare(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[Any, Any]:
        """Returns the module as all processes train it, and its optimiser."""
        shared: tuple[Any, Any] = self._accelerator.prepare(module, optimiser)
        return shared

    def alone(self, shared: nn.Module) -> AbstractContextManager[Any]:
        """Opens a block in which backward passes add up here and are not yet shared."""
        context: AbstractContextManager[Any] = self._accelerator.no_sync(shared)
        return context

    def autocast(self) -> AbstractContextManager[Any]:
        """Opens a block in which arithmetic is of the run's precision."""
        context: AbstractContextManager[Any] = self._accelerator.autocast()
        return context

    def backward(self, loss: Tensor) -> None:
        """Computes gradients of a loss."""
        self._accelerator.backward(loss)

    def clip(self, parameters: Iterable[nn.Parameter], norm: float) -> Tensor:
        """Scales gradients down to a norm; returns what it was."""
        before = self._accelerator.clip_grad_norm_(parameters, norm)
        return torch.as_tensor(before)

    def sum(self, values: list[float]) -> list[float]:
        """Sums values over the processes."""
        if self.count == 1:
            return values
        summed = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(summed)
        result: list[float] = summed.tolist()
        return result

    def gather(self, names: list[str]) -> list[str]:
        """Joins the lists of all processes, one after the other."""
        if self.count == 1:
            return names
        found: list[list[str]] = [[] for _ in range(self.count)]
        torch.distributed.all_gather_object(found, names)
        return [name for part in found for name in part]

    def wait(self) -> None:
        """Waits until every process is here."""
        self._accelerator.wait_for_everyone()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Resets accelerate's global state: another run in this program may want another precision."""
        from accelerate.state import AcceleratorState  # type: ignore[import-untyped]

        self._accelerator.free_memory()
        AcceleratorState._reset_state(reset_partial_state=self.count == 1)
