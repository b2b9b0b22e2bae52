#!/usr/bin/env bash
# Prints everything that is said of a GPU, in less than ten minutes: sessions held at 25 pictures a second with the p95 of
# their rounds, frames a second by stage with CUDA graphs and without, how far the picture is from the CPU's, for `edge`
# and `paper`; and runs the tests that need a GPU. Without a GPU it runs to its end on the CPU, with fewer sessions, and
# names what it leaves out. PYTHON is the interpreter to use.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
failed=0

part() {  # part SECONDS TITLE COMMAND...: a part that takes longer is ended, and says so
    local limit=$1 title=$2
    shift 2
    echo "== $title"
    timeout --foreground "$limit" "$@" || { echo "== $title: ended with $? (124: its $limit s were over)"; failed=1; }
}

if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    "$python" -c 'import torch; print(torch.cuda.get_device_name(), torch.__version__)'
    device=cuda narrow=bfloat16 counts=(1 16 64 128 256) paper_counts=(1 2 4 8) batches=(1 8 64)
else
    echo "no GPU: the parts that need one are left out by name"
    device=cpu narrow=float32 counts=(1 2) paper_counts=() batches=(1 4)
fi
"$python" -c 'from mytalk.appearance.warm_up import load_renderer; load_renderer()'  # compiles on a first start
models=benchmarks.models
part 60 "edge, by stage" "$python" -m "$models.device_parts" --device "$device" --batches "${batches[@]}" --seconds 1
part 120 "edge, sessions held" "$python" -m "$models.device_sessions" --device "$device" --counts "${counts[@]}" --rounds 20
if [ "$device" = cuda ]; then
    part 60 "edge in $narrow, by stage" "$python" -m "$models.device_parts" --device cuda --dtype "$narrow" --seconds 1
    part 110 "paper in $narrow, by stage" \
        "$python" -m "$models.device_parts" --preset paper --device cuda --dtype "$narrow" --batches 1 4 16 --seconds 1
    part 120 "paper in $narrow, sessions held" "$python" -m "$models.device_sessions" \
        --preset paper --device cuda --dtype "$narrow" --counts "${paper_counts[@]}" --rounds 15
    part 90 "tests that need a GPU" "$python" -m pytest -q -n 0 -k gpu \
        tests/mytalk/runtime/test_cuda_graphs.py tests/mytalk/appearance/test_batched.py tests/mytalk/training/run/test_loop.py
else
    echo "left out: edge in bfloat16, by stage (needs a GPU)"
    echo "left out: paper in bfloat16, by stage (needs a GPU)"
    echo "left out: paper in bfloat16, sessions held (needs a GPU)"
    echo "left out: tests that need a GPU"
fi
exit "$failed"
