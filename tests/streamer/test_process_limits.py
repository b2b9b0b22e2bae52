"""The server's process gives freed memory back, and may open as many files as the system lets it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from streamer.process_limits import LARGE_BLOCK, MOST_FILES

GLIBC = platform.libc_ver()[0] == "glibc"


def printed(program: str, *, given: bool) -> list[int]:
    """Runs a program, whose ``given`` says whether the limits are set, and returns the numbers that it prints."""
    command = [sys.executable, "-c", f"given = {given}\n{program}"]
    return [int(word) for word in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


SCATTERED = f"""
import ctypes
from streamer.process_limits import return_freed_memory
if given:
    return_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.free(libc.malloc(30 << 20))  # raises glibc's own threshold
blocks = []
for _ in range(50):
    large, small = libc.malloc({2 * LARGE_BLOCK}), libc.malloc(100_000)
    libc.memset(large, 1, {2 * LARGE_BLOCK})
    blocks.append(large)

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

before = resident()
for large in blocks:
    libc.free(large)
print(before - resident())
"""


@pytest.mark.skipif(not GLIBC, reason="needs glibc")
@pytest.mark.parametrize("given", [False, True])
def test_large_blocks_between_small_ones_go_back_to_the_system(given: bool) -> None:
    [freed_kb] = printed(SCATTERED, given=given)
    assert (freed_kb > 50 * 2 * LARGE_BLOCK // 1024 * 0.9) == given


PIECES = """
import ctypes
from streamer.process_limits import return_free_pages
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
blocks = [libc.malloc(50_000) for _ in range(400)]
last = libc.malloc(50_000)  # above them: they are not the end of the heap
for block in blocks:
    libc.memset(block, 1, 50_000)

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

before = resident()
for block in blocks:
    libc.free(block)
if given:
    assert return_free_pages()
print(before - resident())
"""


@pytest.mark.skipif(not GLIBC, reason="needs glibc")
@pytest.mark.parametrize("given", [False, True])
def test_free_pages_inside_a_heap_go_back_to_the_system(given: bool) -> None:
    [freed_kb] = printed(PIECES, given=given)
    assert (freed_kb > 15_000) == given


FILES = """
import resource
from streamer.process_limits import allow_open_files
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
most = min(2000, most)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, most))
if given:
    assert allow_open_files() == most
    assert allow_open_files() == most
print(*resource.getrlimit(resource.RLIMIT_NOFILE), most)
"""


def test_the_soft_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    assert MOST_FILES > 2000
    soft, hard, most = printed(FILES, given=True)
    assert soft == hard == most
