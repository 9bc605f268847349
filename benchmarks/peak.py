"""The machine's peak for fused multiply-adds: a loop over registers that reads no memory.

python benchmarks/peak.py
"""

from statistics import median

from charrnn.system.threads import Team, available_threads
from charrnn.training.speed import fma_peak

for count in sorted({1, available_threads()}):
    team = Team(count)
    peaks = [fma_peak(team) / 1e9 for _ in range(100)]
    team.close()
    print(f"{count} thread(s): {median(peaks):.0f} GFLOP/s ({min(peaks):.0f}–{max(peaks):.0f})")
