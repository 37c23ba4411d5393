#!/bin/bash
# A study on a Slurm cluster: every task of the array is a host with workers, one for each GPU.
#   sbatch deploy/slurm.sh studies/cluster-sst2.toml /shared/artifacts
# Whichever task comes first begins the study, the others join; each ends when the study has its trials.
#SBATCH --job-name=pareto-prune
#SBATCH --array=0-15
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --gres=gpu:1
#SBATCH --time=08:00:00
#SBATCH --output=pareto-prune-%A-%a.log
#SBATCH --open-mode=append
# Preempted: Slurm sends SIGTERM, the trial in hand is handed back, the task is queued again.
#SBATCH --requeue
# Two minutes before its time is over the task queues itself again.
#SBATCH --signal=B:USR1@120

set -euo pipefail
study=${1:?the study file}
artifacts=${2:?a folder that all nodes see, or an fsspec URL}

# The URL of the database, password included, is in a file that only its owner reads. It goes on by
# the environment: command lines are seen by everybody on the node.
secret=${PARETO_PRUNE_STORAGE_FILE:-$HOME/.config/pareto_prune/storage}
mode=$(stat -L -c %a "$secret")
if [[ $mode != 600 && $mode != 400 ]]; then
    echo "$secret: others may read it, allowed: chmod 600" >&2
    exit 2
fi
PARETO_PRUNE_STORAGE=$(<"$secret")
export PARETO_PRUNE_STORAGE

srun pareto-prune run "$study" --artifacts "$artifacts" \
    --output "pages/$SLURM_ARRAY_TASK_ID" --launcher processes &
workers=$!
trap 'scontrol requeue "$SLURM_JOB_ID"' USR1
trap 'kill -TERM "$workers"' TERM

# A signal ends `wait`, not the workers: wait until they have ended.
status=0
wait "$workers" || status=$?
while kill -0 "$workers" 2>/dev/null; do
    status=0
    wait "$workers" || status=$?
done
exit "$status"
