"""The machine's peak for fused multiply-adds: a loop over registers that reads no memory.

python benchmarks/peak.py
"""

from charrnn.threads import available_threads
from charrnn.timing import fma_peak

for count in sorted({1, available_threads()}):
    print(f"{count} thread(s): {fma_peak(count) / 1e9:.0f} GFLOP/s")
