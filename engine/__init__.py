"""The game engine: world, tables, phases, clock, random streams, scenes, records, snapshots. Knows no brains."""
