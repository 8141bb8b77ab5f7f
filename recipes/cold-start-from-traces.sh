#!/usr/bin/env bash
# A cold-start set from traces that exist already, every row accounted for.
#
#     R1KIT_DATA=../shared/data bash recipes/cold-start-from-traces.sh [FOLDER]
#
# 1,767 responses with <think> to problems of the MATH training set (R1KIT_DATA, see bench/README.md) become SFT
# data. Takes about half a minute. FOLDER is runs/cold-start-from-traces unless given; run it again and finished
# steps are not repeated. Put your own file, columns, task and benchmarks in the lines marked "yours".
set -euo pipefail

data=${R1KIT_DATA:-../shared/data}
out=${1:-runs/cold-start-from-traces}
traces=$data/math_think_traces.jsonl.gz                       # yours
exam=$data/math_test_minus500_half.jsonl.gz                   # yours: what the model will be examined on
mkdir -p "$out"

# Their columns under our names; each response gets a uid that all later steps keep.
r1data import "$traces" --as traces -o "$out/0-traces.parquet" \
    --map prompt=problem,response=response,reference=ground_truth --task math --language en      # yours

# Correct, well formed, one language, no loops (r1data/rules/cold-start.yaml; a copy of it with other thresholds
# is a rule set too, and deciding again takes seconds because the signals are kept).
r1data curate "$out/0-traces.parquet" --rules cold-start -o "$out/1-curate"

# Problems that are the same or nearly so; the samples of one problem are left for rejection sampling.
r1data dedup "$out/1-curate/kept.parquet" -o "$out/2-dedup"

# Anything that covers half of an examination question.
r1data decontaminate "$out/2-dedup/kept.parquet" --against "$exam:question=problem" -o "$out/3-clean"

# Up to 1,500 reasoning samples and 500 general ones, the proportion of the quota file `seed`. There are no general
# rows here, and the table says so: a share is never filled by repeating rows.
r1data mix "$out/3-clean/kept.parquet" --quotas seed --total 2000 -o "$out/4-mix"

r1data export "$out/4-mix/kept.parquet" --as messages -o "$out/sft.jsonl"

# What became of all of them: the numbers add up to what went in. README.md is the card of the data set.
r1data card "$out" -o "$out/README.md" --title "Cold start from MATH traces"

# The story of one row that is gone.
dropped=$(r1data show "$out/1-curate/ledger.parquet" --where fate=dropped,rule=wrong -n 1 --json |
    sed 's/.*"uid": "\([^"]*\)".*/\1/')
r1data why "$dropped" "$out"
