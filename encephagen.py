"""The front door: `load` a scene and run it from Python, or `main` for the command line.

from encephagen import load
sim = load("newborn", seed=7)
sim.run("100 ms"); sim.rate_hz("cortex"); sim.touch("palm_left", force="0.5 N"); sim.save("a.h5")
"""

from __future__ import annotations

import sys

__version__ = "0.1.0"


def load(scene="newborn", **options):
    """A `Simulation` of a shipped scene or a scene file; see systems.simulation.load for the options."""
    from systems.simulation import load as load_scene

    return load_scene(scene, **options)


def __getattr__(name: str):
    if name == "Simulation":
        from systems.simulation import Simulation

        return Simulation
    raise AttributeError(f"module 'encephagen' has no attribute {name!r}")


def main(arguments: list[str] | None = None) -> int:
    """The command line (tools/cli.py); returns the exit code."""
    from tools.cli import main as run

    return run(sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())
