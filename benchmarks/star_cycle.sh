#!/usr/bin/env bash
# One cycle through the command line alone, on data nobody on this project wrote: the first 200 STAR corrections
# (a human agent's draft and the approved sentence) go in, the held-out file is the exam.
#   benchmarks/star_cycle.sh ../shared/data
# Starts an engine of its own and works in a folder of its own (var/star). The gain is on the last lines.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:?the folder with star_corrections_train.jsonl and star_corrections_heldout.jsonl}
understudy=$PWD/.venv/bin/understudy
rm -rf var/star && mkdir -p var/star
export FEEDBACK_VAR_DIR=var/star FEEDBACK_MODELS_DIR=$PWD/var/models
export SERVICE_ENGINE_PORT=8011 SERVICE_ENGINE_URL=http://127.0.0.1:8011
head -n 200 "$data/star_corrections_train.jsonl" > var/star/corrections.jsonl
cat > var/star/assistant.toml <<'TOML'
name = "star"
title = "STAR"
prompt = "You are a customer service agent. Answer in one short sentence."
[sampling]
temperature = 0.0
max_tokens = 48
TOML
$understudy feedback migrate
$understudy feedback assistants create --file var/star/assistant.toml
$understudy feedback import corrections var/star/corrections.jsonl --map answer=draft --map correction=final
$understudy feedback import tickets "$data/star_corrections_heldout.jsonl" --map reference=final
$understudy engine > var/star/engine.log 2>&1 &
engine=$!
trap 'kill $engine' EXIT
until curl -sf "$SERVICE_ENGINE_URL/health" > /dev/null; do kill -0 $engine; sleep 1; done
time $understudy training cycle --by "star benchmark"
$understudy evals decisions list
