"""`encephagen shell`: a text session with a scene, at the terminal or as a script on standard input."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engine.errors import UserError
from tools import common

NUMBER = re.compile(r"[-+]?(\d|\.\d)")
LONGEST_LINE = 10_000
STATUS_MS = 1000  # rates are over the last second at most
STARTS = 5  # moments from which each picture is shown
APART_MS = 500  # from one such moment to the next
PAUSE_MS = 1000  # after a pairing
BETWEEN_MS = 100  # lessons with a teacher
BIN_MS = 500  # of what `memory` follows
BAR = 20  # characters of the longest bar

HELP = """\
Nothing passes but by wait, teach, train, test and memory; the others begin something, for the next tick.

  look A..D|FILE [for TIME]         show a picture                      sound [NAME] [for TIME]   make a sound
  touch PATCH [FORCE] [for TIME]    press; so pinch, prick              reward                    what the scene has
  stroke PATCH PATCH.. [FORCE]      one patch after another             do NAME                   an action of the scene
  tap MUSCLE [TORQUE]               push PART FORCE                     hold [POSE], drop [HEIGHT], tilt ANGLE
  turn JOINT TORQUE                 stimulate CELLS DRIVE               inhibit CELLS DRIVE       end   what is in force

  wait [TIME]         let time pass, 1 s                     status            rates, hands, lesions
  teach PICTURE       show it and reward it, once            train PICTURE [N] the same N times, 10
  test [N]            which picture does the read-out tell   memory [TIME]     ... and so long after it is gone
  lesion CELLS        never fire again                       restore CELLS     undo it
  save FILE.h5        the state; FILE.yaml: as a scene       load FILE.h5      go on from it
  list [WORD]         cells, patches, muscles, actions       help, quit        # a comment"""


class Stopped(Exception):
    """Ctrl-C while time passed."""


def arguments(parser) -> None:
    common.add_scene(parser, optional=True)
    parser.add_argument("--device", default="auto", metavar="cpu|cuda|auto", help="where the kernels run")
    parser.add_argument("--threads", type=common.whole(1, 64), default=1, metavar="N", help="threads of the kernels")
    parser.add_argument(
        "--strict", action=argparse.BooleanOptionalAction, default=True, help="read-only columns are read-only"
    )
    common.add_quiet(parser)


def run(args) -> int:
    sim, _ = common.open_simulation(args)
    common.compile_kernels(sim, args.quiet)
    shell = Shell(sim, quiet=args.quiet)
    return converse(shell) if sys.stdin.isatty() else follow(shell, sys.stdin)


def follow(shell: Shell, lines) -> int:
    """Run a script; its first mistake ends it."""
    for number, line in enumerate(lines, 1):
        try:
            if not shell.do(line):
                break
        except UserError as error:
            raise UserError(f"line {number}: {error}") from None
        except (Stopped, KeyboardInterrupt):
            common.say(f"encephagen: interrupted at {shell.sim.time_s:g} s, line {number}")
            return common.INTERRUPTED
        sys.stdout.flush()
    return 0


def converse(shell: Shell) -> int:
    """A session at the terminal; a mistake is said and forgotten."""
    remember(shell)
    shell.say(f"{shell.sim.scene.title}\nhelp lists the commands, Ctrl-C stops what is running, quit ends")
    while True:
        try:
            if not shell.do(input(f"{shell.sim.time_s:.3f} s> ")):
                return 0
        except EOFError:
            print()
            return 0
        except UserError as error:
            print(f"error: {error}")
        except Stopped:
            print(f"stopped at {shell.sim.time_s:g} s")
        except KeyboardInterrupt:
            print()


def remember(shell: Shell) -> None:
    """Lines can be edited and recalled, words completed, where the terminal can do so."""
    try:
        import readline
    except ImportError:
        return

    def complete(text: str, state: int) -> str | None:
        first = not readline.get_line_buffer()[: readline.get_begidx()].strip()
        found = [w for w in (sorted(COMMANDS) if first else shell.words()) if w.startswith(text)]
        return found[state] if state < len(found) else None

    readline.set_completer_delims(" ")
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")


@dataclass
class Line:
    """A command as it was typed."""

    word: str
    names: list[str] = field(default_factory=list)
    amount: str | None = None
    last: str | None = None

    @property
    def name(self) -> str:
        """The one name it needs."""
        if len(self.names) != 1:
            what = "one name" if not self.names else f"one name, got {' '.join(self.names)}"
            raise UserError(f"{self.word}: expected {what} (help shows how)")
        return self.names[0]

    def refuse(self, *, names: bool = False, amount: bool = False, last: bool = False) -> None:
        """UserError if there is more than the command takes."""
        found = [" ".join(self.names)] if names else []
        found += [self.amount] if amount and self.amount else []
        found += [f"for {self.last}"] if last and self.last else []
        extra = " ".join(found).strip()
        if extra:
            raise UserError(f"{self.word}: expected nothing more, got {extra[:60]}")


def read(text: str) -> Line | None:
    """Words: names, then an amount with its unit, then `for` a time. None for an empty line or a comment."""
    if len(text) > LONGEST_LINE or "\0" in text:
        raise UserError("expected a line of text")
    words = text.split("#")[0].split()
    if not words:
        return None
    line, rest = Line(words[0].lower()), words[1:]
    if "for" in rest:
        at = rest.index("for")
        line.last = " ".join(rest[at + 1 :]) or None
        if line.last is None:
            raise UserError(f"{line.word}: for: expected a time")
        rest = rest[:at]
    at = next((k for k, word in enumerate(rest) if NUMBER.match(word) and not Path(word).is_file()), len(rest))
    line.names, line.amount = rest[:at], " ".join(rest[at:]) or None
    return line


class Shell:
    """One simulation and what was done to it. Everything done is an event of the timeline, as in the window."""

    def __init__(self, sim, *, quiet: bool = False, out=print):
        from systems.view.session import Session

        self.sim, self.quiet, self.out = sim, quiet, out
        self.session = Session(sim)
        self.words_of = sim.scene.shell

    def say(self, text: str) -> None:
        """What nobody asked for."""
        if not self.quiet:
            self.out(text)

    def do(self, text: str) -> bool:
        """One line; False if it ends the session."""
        line = read(text)
        if line is None:
            return True
        if line.word not in COMMANDS:
            raise UserError(f"no command {line.word[:60]!r} (there are: {', '.join(COMMANDS)})")
        return COMMANDS[line.word](self, line) is not False

    # time -------------------------------------------------------------------------------------------------------
    def wait(self, line: Line) -> None:
        """Let time pass, with a bar; Stopped at Ctrl-C."""
        line.refuse(names=True, last=True)
        ms = _ticks(line, line.amount or "1 s")
        with common.Interrupt() as interrupt, self.bar(ms, self.quiet) as bar:
            self.pass_time(ms, interrupt, bar)

    # hands ------------------------------------------------------------------------------------------------------
    def begin(self, verb: str, keys: dict, line: Line, last: float | None, key: str = "") -> None:
        """Do something from the next tick on, and say so."""
        if line.last is not None:
            last = _ticks(line, line.last)
        done = self.session.begin(verb, keys, last=last, key=key)
        until = f" until {(done.start + done.last) / 1000:g} s" if done.last is not None else ""
        self.say(f"{line.word} {' '.join(line.names)}".strip() + until)

    def press(self, line: Line) -> None:
        default, last = {"touch": ("0.5 N", 1000), "pinch": ("3 N", 500), "prick": ("5 N", None)}[line.word]
        self.begin(line.word, {"patch": line.name, "force": line.amount or default}, line, last)

    def stroke(self, line: Line) -> None:
        if not line.names:
            raise UserError("stroke: expected patches, one after another")
        self.begin("stroke", {"patches": line.names, "force": line.amount or "1 N"}, line, 600)

    def tap(self, line: Line) -> None:
        self.begin("tap", {"muscle": line.name, "torque": line.amount or "0.2 N m"}, line, None)

    def push(self, line: Line) -> None:
        self.begin("push", {"part": line.name, "force": _needed(line, "a force")}, line, 100)

    def hold(self, line: Line) -> None:
        line.refuse(amount=True)
        self.begin("hold", {"pose": line.name if line.names else "upright"}, line, None)

    def drop(self, line: Line) -> None:
        line.refuse(names=True, last=True)
        self.begin("drop", {"height": line.amount or "10 cm"}, line, None)

    def tilt(self, line: Line) -> None:
        line.refuse(names=True)
        self.begin("tilt", {"angle": _needed(line, "an angle"), "axis": [0.0, 1.0, 0.0]}, line, 1000)

    def turn(self, line: Line) -> None:
        self.begin("turn", {"joint": line.name, "torque": _needed(line, "a torque")}, line, 1000)

    def drive(self, line: Line) -> None:
        self.begin(line.word, {"population": line.name, "drive": _needed(line, "a potential")}, line, 50)

    def lesion(self, line: Line) -> None:
        line.refuse(amount=True)
        self.begin("silence", {"population": line.name}, line, None, key=f"silence:{line.name}")

    def restore(self, line: Line) -> None:
        line.refuse(amount=True, last=True)
        self.begin("restore", {"population": line.name}, line, None)

    def end(self, line: Line) -> None:
        """Let go of everything that is in force without an end."""
        line.refuse(names=True, amount=True, last=True)
        for done in self.session.open():
            self.session.end(done)
            self.say(f"{done.verb}: ended")

    # senses and actions of the scene ----------------------------------------------------------------------------
    def action(self, name: str, word: str = "do"):
        """An action of the scene that this world can do."""
        found = {a.name: a for a in self.sim.timeline.actions}
        if name not in found:
            raise UserError(f"{word}: this scene has no action {name[:60]!r} (there are: {', '.join(found) or 'none'})")
        return found[name]

    def meant(self, word: str):
        """The action that the scene means by a word."""
        name = getattr(self.words_of, word)
        if name is None:
            raise UserError(f"{word}: this scene does not say what that is (its block `shell` has no `{word}`)")
        return self.action(name, word)

    def act(self, action, line: Line, **changes) -> None:
        """Do an action; what stays in force is ended by doing it again, as in the window."""
        from engine.scene import dump

        key = f"action:{action.name}"
        again = self.session.open(key) if action.last is None else []
        for done in again:
            self.session.end(done)
        if again:
            self.say(f"{action.name}: ended")
            return
        self.begin(action.do.verb, dump(action.do.action) | changes, line, action.last, key=key)

    def perform(self, line: Line) -> None:
        line.refuse(amount=True)
        self.act(self.action(" ".join(line.names)), line)

    def look(self, line: Line) -> None:
        line.refuse(amount=True)
        action = self.meant("look")
        self.act(action, line, **to_see(action, line))

    def sound(self, line: Line) -> None:
        line.refuse(amount=True)
        self.act(self.action(" ".join(line.names), "sound") if line.names else self.meant("sound"), line)

    def reward(self, line: Line) -> None:
        line.refuse(names=True, amount=True)
        self.act(self.meant("reward"), line)

    # learning ---------------------------------------------------------------------------------------------------
    def train(self, line: Line) -> None:
        """Show a picture, again and again, with its teacher or a reward as it ends, and say what learnt."""
        from components.learning import Learning

        line.refuse(last=True, amount=line.word == "teach")
        look, teacher = self.meant("look"), self.words_of.teacher
        reward = self.meant("reward") if teacher is None else None
        seen = to_see(look, line)
        pupil = self.taught_by(teacher, look, line, seen) if teacher is not None else None
        times = _count(line, 10) if line.word == "train" else 1
        learners = self.learners()
        if not learners or Learning.on not in self.sim.world.arrays:
            off = self.sim.scene.brain is not None and not self.sim.scene.brain.learning
            why = "brain.learning is off" if off else "no projection has a learning rule"
            raise UserError(f"{line.word}: nothing can learn here: {why}")
        for action in filter(None, (look, reward)):
            if action.last is None:
                raise UserError(f"{line.word}: the action {action.name} has no end")
        before = {name: self.sim.weights(name)[2].astype(float) for name in learners}
        quiet, self.quiet = self.quiet, True
        begun = self.sim.tick
        try:
            after = reward.last + PAUSE_MS if reward is not None else BETWEEN_MS
            with common.Interrupt() as interrupt, self.bar(times * (look.last + after), quiet) as bar:
                for _ in range(times):
                    self.act(look, Line("look"), **seen)
                    if pupil is not None:
                        self.session.begin(
                            "stimulate", {"population": pupil, "drive": f"{teacher.drive:g} mV"}, last=look.last
                        )
                    self.pass_time(look.last, interrupt, bar)
                    if reward is not None:
                        self.act(reward, Line("reward"))
                    self.pass_time(after, interrupt, bar)
        finally:
            self.quiet = quiet
        self.say(f"{line.word} {line.names[0]}: {times} x, {(self.sim.tick - begun) / 1000:g} s")
        for name, old in before.items():
            new = self.sim.weights(name)[2].astype(float)
            mean, moved = new.mean() / max(old.mean(), 1e-12) - 1.0, np.abs(new - old).mean() / max(old.mean(), 1e-12)
            self.out(f"  {name:40} mean weight {mean:+.2%}, mean change of a synapse {moved:.2%}")

    def taught_by(self, teacher, look, line: Line, seen: dict) -> str:
        """The population that says which picture it is."""
        names, pupils = sights(look)[1], self.populations(teacher.population)
        name = next(iter(seen.values()))
        if name not in names or names.index(name) >= len(pupils):
            known = ", ".join(names[: len(pupils)])
            raise UserError(f"{line.word}: expected a picture that has a teacher ({known}), got {line.names[0][:60]}")
        return pupils[names.index(name)]

    def populations(self, glob: str) -> list[str]:
        """Names of the populations of a glob, in order."""
        return [p.name for p in sorted(self.sim.network.select(glob), key=lambda p: p.first)]

    def learners(self) -> list[str]:
        """Projections that learn (a synapse that only tires does not)."""
        network = self.sim.network
        rules = (p for p in network.projections if p.spec.rule and p.count) if network else ()
        return list(dict.fromkeys(p.name for p in rules if p.spec.rule.kind not in TIRING))

    def bar(self, ms: float, quiet: bool):
        return common.progress_bar(self.sim.tick + round(ms), self.sim.tick, quiet)

    def pass_time(self, ms: float, interrupt, bar) -> None:
        if not common.drive(self.sim, self.sim.tick + round(ms), interrupt, progress=bar):
            raise Stopped

    # questions --------------------------------------------------------------------------------------------------
    def test(self, line: Line) -> None:
        """How well the read-out's spikes tell the pictures, while they are shown."""
        line.refuse(names=True, last=True)
        self.ask(line, "readout", "read-out", _count(line, STARTS), 0)

    def memory(self, line: Line) -> None:
        """How well they are told later, when the picture is gone."""
        line.refuse(names=True, last=True)
        self.ask(line, "memory", "memory", STARTS, _ticks(line, line.amount or "2 s"))

    def ask(self, line: Line, key: str, noun: str, starts: int, after: int) -> None:
        """Show every picture from each of some moments; the brain is then as it was, in time too.

        A picture is told by the nearest of the pictures' mean responses at the other moments.
        """
        from engine.snapshot import Marks

        look, glob = self.meant("look"), getattr(self.words_of, key)
        seen, names = sights(look)
        if glob is None:
            raise UserError(f"{line.word}: this scene has no {noun} population (its block `shell` has no `{key}`)")
        if look.last is None:
            raise UserError(f"{line.word}: the action {look.name} has no end")
        if starts < 2:
            raise UserError(f"{line.word}: expected 2 moments or more, got {starts}")
        cells = self.sim._neurons(glob)
        whole = round(look.last) + after
        edges = [0, round(look.last), *range(round(look.last) + BIN_MS, whole + 1, BIN_MS)]
        counts = np.zeros((starts, len(names) + 1, len(edges) - 1, cells.size))  # the last picture is none
        marks = Marks(self.sim.runner)
        home = marks.mark()
        total = starts * ((len(names) + 1) * whole + APART_MS)
        try:
            with common.Interrupt() as interrupt, self.bar(total, self.quiet) as bar:
                for s in range(starts):
                    moment = marks.mark()
                    for k, name in enumerate([*names, None]):
                        if name is not None:
                            self.show(look, {seen: name})
                        self.pass_time(whole, interrupt, None)
                        counts[s, k] = self.counted(cells, moment.tick, edges)
                        marks.recall(moment)
                        if bar is not None:
                            bar(self.sim)
                    self.pass_time(APART_MS, interrupt, None)
        finally:
            marks.recall(home)
        self.tell(names, edges, counts)
        if self.words_of.teacher is not None and key == "readout":
            of = np.repeat(np.arange(len(found := self.populations(glob))), [self.sim._neurons(p).size for p in found])
            answers = np.stack([counts[:, : len(names), 0, of == k].sum(axis=2) for k in range(len(found))], axis=2)
            best = answers == answers.max(axis=2, keepdims=True)
            right = np.stack([best[:, k, k] / best[:, k].sum(axis=1) for k in range(min(len(names), len(found)))])
            self.out(
                f"named by the population of its own that fires most: {right.mean():.0%} (chance {1 / len(found):.0%})"
            )

    def show(self, look, seen: dict) -> None:
        """A picture that the session does not remember."""
        from systems.timeline import actions_of

        event = look.event(float(self.sim.tick))
        deed = event.action.model_copy(update=seen)
        event = type(event).model_construct(at=event.at, last=event.last, **{event.verb: deed})
        for action in actions_of(event, self.sim.timeline.targets):
            self.sim.timeline.add(action)

    def counted(self, cells: np.ndarray, first: int, edges: list[int]) -> np.ndarray:
        """Spikes of the cells between the edges [tick after `first`]; shape [bins, cells]."""
        ids, ticks = self.sim.spike_history(first)
        kept = (ticks >= first) & np.isin(ids, cells)
        row = np.searchsorted(cells, ids[kept])
        column = np.searchsorted(edges, ticks[kept] - first, side="right") - 1
        found = np.zeros((len(edges) - 1, cells.size))
        inside = (column >= 0) & (column < len(edges) - 1)
        np.add.at(found, (column[inside], row[inside]), 1.0)
        return found

    def tell(self, names: list[str], edges: list[int], counts: np.ndarray) -> None:
        seconds = np.diff(edges) / 1000.0
        rate = counts.mean(axis=(0, 3)) / seconds  # [pictures + 1, bins]
        self.out(f"from {counts.shape[0]} moments; mean rate [Hz] of {counts.shape[3]} cells, and pictures told")
        self.out("".join(f"{text:>12}" for text in ("ms", *names, "none", "told", "chance")))
        for b in range(len(edges) - 1):
            told = nearest(counts[:, : len(names), b])
            shown = "".join(f"{value:12.2f}" for value in rate[:, b])
            self.out(f"{edges[b]:>5}..{edges[b + 1]:<5}{shown}{told:12.0%}{1 / len(names):12.0%}")

    def status(self, line: Line) -> None:
        line.refuse(names=True, amount=True, last=True)
        sim = self.sim
        self.out(f"{sim.time_s:.3f} s, seed {sim.seed}, {sim.realtime_x:.2f} x real time, {sim.scene.title}")
        if sim.network is not None:
            self.rates()
        now = [*sim.timeline.active, *(a for a in sim.timeline.coming if a.start == sim.tick)]
        for action in now:
            if action.verb in ("silence", "restore") or 0 <= action.end <= sim.tick:
                continue
            self.out(f"in force: {action.label}" + (f" until {action.end / 1000:g} s" if action.end >= 0 else ""))
        for selector in lesions(sim.timeline):
            self.out(f"lesion: {selector}")
        muscles = sorted(sim.activation().items(), key=lambda item: -item[1])[:5]
        if muscles:
            self.out("muscles: " + ", ".join(f"{name} {value:.2f}" for name, value in muscles))

    def rates(self) -> None:
        """Rate of each structure over the last second, beside the second before."""
        sim, span = self.sim, min(STATUS_MS, max(self.sim.tick, 1))
        owner = np.zeros(sim.network.neuron_count, np.int32)
        for p in sim.network.populations:
            owner[p.first : p.first + p.count] = sim.network.structures.index(p.structure)
        ids, ticks = sim.spike_history(sim.tick - 2 * span)
        size = np.bincount(owner, minlength=len(sim.network.structures))
        now, before = (np.bincount(owner[ids[(ticks >= low) & (ticks < low + span)]], minlength=size.size)
                       / size / span * 1000.0 for low in (sim.tick - span, sim.tick - 2 * span))  # fmt: skip
        known = sim.tick >= 2 * span
        self.out(f"rates over the last {span} ms" + (", arrows against as long before" if known else ""))
        for name, hz, was in zip(sim.network.structures, now, before, strict=True):
            arrow = "" if not known else "^" if hz > 1.1 * was else "v" if hz < 0.9 * was else ""
            bar = "#" * round(BAR * hz / max(now.max(), 1e-9))
            self.out(f"  {name:22}{hz:8.2f} Hz {arrow:1} {bar}".rstrip())

    # files ------------------------------------------------------------------------------------------------------
    def save(self, line: Line) -> None:
        path = Path(_file(line))
        common.check_outputs({"save": str(path)}, common.inputs_of(self.sim, None))
        if path.suffix in (".yaml", ".yml"):
            self.session.save(path)
        else:
            self.sim.save(path, session=self.session.dumped())
        self.say(f"saved {path}")

    def load(self, line: Line) -> None:
        from engine import snapshot

        path = Path(_file(line))
        saved = snapshot.attributes(path)
        self.sim.load_state(path)
        self.session.take(saved.get("session"))
        self.say(f"at {self.sim.time_s:g} s")

    # words ------------------------------------------------------------------------------------------------------
    def names(self) -> dict[str, list[str]]:
        """What can be named here, by kind."""
        sim = self.sim
        found = {"actions": [a.name for a in sim.timeline.actions]}
        if self.words_of.look in found["actions"]:
            found["pictures"] = sights(self.meant("look"))[1]
        if sim.network is not None:
            found["cells"] = [p.name for p in sim.network.populations]
        if sim.body is not None:
            found["patches"] = [p.name for p in sim.body.patches]
            found["muscles"] = [m.name for m in sim.body.muscles]
            found["poses"] = [name for name, spec in sim.body.poses.items() if spec.active]
        return found

    def words(self) -> list[str]:
        return [name for names in self.names().values() for name in names]

    def list(self, line: Line) -> None:
        for kind, names in self.names().items():
            found = [n for n in names if not line.names or any(word in n for word in line.names)]
            if found:
                more = f" and {len(found) - 60} more" if len(found) > 60 else ""
                self.out(f"{kind}: {', '.join(found[:60])}{more}")

    def help(self, line: Line) -> None:
        self.out(HELP)

    def quit(self, line: Line) -> bool:
        return False


TIRING = ("depression", "facilitation")  # kinds of rules that are no learning
COMMANDS = {
    "look": Shell.look, "sound": Shell.sound, "touch": Shell.press, "pinch": Shell.press, "prick": Shell.press,
    "stroke": Shell.stroke, "tap": Shell.tap, "push": Shell.push, "hold": Shell.hold, "drop": Shell.drop,
    "tilt": Shell.tilt, "turn": Shell.turn, "reward": Shell.reward, "do": Shell.perform, "stimulate": Shell.drive,
    "inhibit": Shell.drive, "end": Shell.end, "teach": Shell.train, "train": Shell.train, "test": Shell.test,
    "memory": Shell.memory, "status": Shell.status, "wait": Shell.wait, "lesion": Shell.lesion,
    "restore": Shell.restore, "save": Shell.save, "load": Shell.load, "list": Shell.list, "help": Shell.help,
    "quit": Shell.quit, "exit": Shell.quit,
}  # fmt: skip


def lesions(timeline) -> list[str]:
    """Selectors of what is silenced, or will be with the next tick, and was not restored as such since."""
    found: dict[str, None] = {}
    for a in (*timeline.active, *timeline.coming):
        if a.verb == "silence":
            found[a.of] = None
        elif a.verb == "restore":
            found.pop(a.of, None)
    return list(found)


def nearest(counts: np.ndarray) -> float:
    """Share of responses that are nearest, by cosine, to the mean of their own kind at the other moments.

    `counts` [moments, kinds, cells]. A tie, as of silence, is a miss for all but a share of it.
    """
    moments, kinds, _ = counts.shape
    hits = 0.0
    for s in range(moments):
        means = np.delete(counts, s, axis=0).mean(axis=0)
        length = np.linalg.norm(means, axis=1)
        for k in range(kinds):
            own = np.linalg.norm(counts[s, k])
            like = means @ counts[s, k] / np.maximum(length * own, 1e-12)
            best = np.flatnonzero(like >= like.max() - 1e-12)
            hits += (k in best) / best.size
    return hits / (moments * kinds)


def sights(look) -> tuple[str, list[str]]:
    """(key of an action that says what is seen, what it may be): a shipped picture, or one of a verb's patterns."""
    from typing import get_args

    from systems import pictures

    if getattr(look.do.action, "picture", None) is not None:
        return "picture", pictures.names()
    return "pattern", list(get_args(type(look.do.action).model_fields["pattern"].annotation))


def to_see(look, line: Line) -> dict[str, str]:
    """The key and the picture that a line names; of a file the whole path, so that a saved scene finds it."""
    from systems import pictures

    key, known = sights(look)
    name = next((k for k in known if k.lower() == line.name.lower()), line.name)
    if key == "pattern" and name not in known:
        raise UserError(f"{line.word}: expected one of {', '.join(known)}, got {name[:60]}")
    if key == "picture":
        pictures.read_picture(name)
        name = name if name in known else str(pictures.path_of(name).resolve())
    return {key: name}


def _ticks(line: Line, text: str) -> int:
    from engine.units import quantity

    try:
        ms = quantity(text, "time")
    except UserError as error:
        raise UserError(f"{line.word}: {error}") from None
    if ms <= 0 or abs(ms - round(ms)) > 1e-9:
        raise UserError(f"{line.word}: expected a whole number of ticks of 1 ms above zero, got {text}")
    return round(ms)


def _count(line: Line, default: int) -> int:
    if line.amount is None:
        return default
    if not line.amount.isdecimal() or not 1 <= int(line.amount) <= 10_000:
        raise UserError(f"{line.word}: expected a whole number from 1 to 10000, got {line.amount[:60]}")
    return int(line.amount)


def _needed(line: Line, what: str) -> str:
    if line.amount is None:
        raise UserError(f"{line.word}: expected {what}")
    return line.amount


def _file(line: Line) -> str:
    name = " ".join([*line.names, *([line.amount] if line.amount else [])])
    if not name:
        raise UserError(f"{line.word}: expected the name of a file")
    return name
