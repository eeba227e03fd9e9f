"""What the daemon makes of the model's store: it builds the chains, asks the real planner, and carries out what that says.

Owns: one planning pass, and the invariants of a plan (S6, S8, S11). Does not own: the steps of a landing (``train_model``).
"""

from dataclasses import replace

from orch.core.ids import CheckId, Sha, TaskRow
from orch.core.messages import CommandVerdict
from orch.core.train import (
    Action,
    Begin,
    Cancel,
    Chain,
    Check,
    Disturbed,
    Eject,
    Facts,
    LandPrefix,
    MainRed,
    Waiting,
    arrange,
    plan,
    reach,
)
from tests.core.train_world import (
    GREEN,
    RED,
    Landing,
    Place,
    Probe,
    Shell,
    Step,
    Story,
    Violation,
    demand,
    head_of,
    items_of,
    link_of,
    tree_of,
)


def settle(shell: Shell, story: Story) -> Shell:
    """Plan until there is nothing more to do at once."""
    for _ in range(50):
        before, shell = tidied(shell), look_once(shell, story)
        if tidied(shell) == before:
            return before
    raise Violation("L1: the planner never comes to rest")


def look_once(shell: Shell, story: Story) -> Shell:
    """Plan once and carry the plan out."""
    tasks = order_of(shell, story)
    rejected = [number for number in tasks if story.conflicts(number, shell.seen)]
    if rejected:
        return shell.put(rejected[0], Place.EJECTED)
    chain, suspect = build(shell, story, tasks), shell.train.suspect
    doubted = bool(chain.links) and chain.links[0].member.task == suspect
    facts = Facts(
        chain=chain,
        checks=[Check(id=CheckId(number), tree=p.tree, verdict=p.verdict) for number, p in enumerate(shell.probes, 1)],
        slots=story.slots,
        frozen=shell.frozen,
        exempt=frozenset(TaskRow(number) for number, job in enumerate(shell.jobs, 1) if job.exempt),
        landing=shell.landing is not None,
        aside=build(shell, story, [number for number in tasks if number != suspect]) if doubted else None,
    )
    decided = plan(shell.train, facts)
    shell = replace(shell, train=decided.train)
    for action in decided.actions:
        shell = carry_out(shell, action, facts)
    demand(len(shell.running) <= story.slots, "S11: too many runs")
    return shell


def order_of(shell: Shell, story: Story) -> list[int]:
    running = [TaskRow(task) for probe in shell.running for task, _ in probe.members]
    queue = [Waiting(task=TaskRow(n), head=head_of(*shell.item(n)), exempt=shell.job(n).exempt) for n in shell.queue]
    order = arrange(queue, running, frozen=shell.frozen, suspect=shell.train.suspect)
    return [int(waiting.task) for waiting in order[: reach(shell.train, running, story.slots)]]


def build(shell: Shell, story: Story, tasks: list[int]) -> Chain:
    """Put *tasks* onto main; one that conflicts with another before it is left out."""
    content, links = shell.seen, []
    for task in tasks:
        if not story.conflicts(task, content):
            content = (*content, shell.item(task))
            links.append(link_of(content))
    return Chain(base=Sha("c" + repr(shell.seen)), base_tree=tree_of(shell.seen), links=tuple(links))


def carry_out(shell: Shell, action: Action, facts: Facts) -> Shell:
    match action:
        case Cancel(check=number):
            cut = replace(shell.probes[number - 1], verdict=CommandVerdict.INTERRUPTED)
            return replace(shell, probes=(*shell.probes[: number - 1], cut, *shell.probes[number:]))
        case Begin(position=position, aside=aside):
            chain = facts.aside if aside else facts.chain
            assert chain is not None
            probe = Probe(shell.seen, items_of(chain, position))
            demand(all(other.tree != probe.tree for other in shell.running), "a tree is tested twice at once")
            return replace(shell, probes=(*shell.probes, probe))
        case LandPrefix(position=position):
            members = items_of(facts.chain, position)
            demand(shell.landing is None, "two landings at once")
            demand(not shell.frozen or all(shell.job(task).exempt for task, _ in members), "S8: planned under a freeze")
            return replace(shell, landing=Landing(Step.CHOSEN, shell.seen, members))
        case Eject(task=task):
            audit_pair(shell, action)
            return shell.put(int(task), Place.EJECTED)
        case MainRed(check=number):
            told = shell.probes[number - 1]
            demand(told.tree == tree_of(shell.seen) and told.verdict is RED, "S6: main is called red without a red control run")
            return replace(shell, frozen=True)
        case Disturbed(task=task):
            return shell.put(int(task), Place.PARKED)


def audit_pair(shell: Shell, ejected: Eject) -> None:
    """S6: a red run of the task on main, repeated, and a green one of main; for a fix under a freeze a red main will do."""
    task, base = int(ejected.task), tree_of(shell.seen)
    told, alone = shell.probes[ejected.red - 1], tree_of((*shell.seen, shell.item(task)))
    demand(told.verdict is RED and told.tree == alone, f"S6: {task} is ejected without a red run on main")
    demand(shell.count(alone, RED) >= 2, f"S6: the red run of {task} was not repeated")
    if ejected.green is None:
        demand(shell.frozen and shell.job(task).exempt, f"S6: {task} is ejected without a green run of main")
        demand(shell.count(base, RED) >= 2, f"S6: {task} is ejected, and nothing is known of main")
    else:
        pair = shell.probes[ejected.green - 1]
        demand(pair.verdict is GREEN and pair.tree == base, f"S6: {task} is ejected against another main")


def tidied(shell: Shell) -> Shell:
    """Forget the checks that no chain can contain any more, and put the others in order: equal situations shall be equal."""
    now, spent = set(shell.seen), shell.train.spent or 0
    landing = tree_of(shell.landing.content) if shell.landing is not None else None
    old: list[Probe] = []
    new: list[Probe] = []
    for number, probe in enumerate(shell.probes, 1):
        told = probe.verdict is not CommandVerdict.INTERRUPTED and (now <= set(probe.content) or probe.tree == landing)
        if probe.verdict is None or told:
            (old if number <= spent else new).append(probe)
    last = CheckId(len(old)) if old else None
    return replace(shell, probes=(*_ordered(old), *_ordered(new)), train=replace(shell.train, spent=last))


def _ordered(probes: list[Probe]) -> list[Probe]:
    """Return those that ended, by tree, then those that run, oldest first."""
    ended = [Probe(tuple(sorted(probe.content)), (), probe.verdict) for probe in probes if probe.verdict is not None]
    return sorted(ended, key=repr) + [probe for probe in probes if probe.verdict is None]
