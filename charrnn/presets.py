"""Settings that go together, by how long one is willing to wait.  docs/RESULTS.md has what each gave."""

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"time_budget": 180.0},
    "balanced": {},
    "best": {"hidden": 512, "effort": 2.0, "lr": 3e-3, "recurrent_dropout": 0.2, "ema": 0.999},
}
"""Values of options by name, for those that the user leaves open."""
