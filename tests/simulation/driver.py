"""Lets a simulated run happen at random: who has the turn, who dies, what is added, removed, paused."""

from __future__ import annotations

import random

from simulation.world import World


def run_at_random(seed: int, steps: int) -> World:
    """So many turns of some life; then all comes home. How wild it gets depends on the seed, too."""
    chance = random.Random(seed)
    deaths = chance.choice((0.0, 0.01, 0.03, 0.1))  # the share of turns at which somebody dies
    loss, double = chance.choice((0, 0.02, 0.5)), chance.choice((0, 0.02, 0.5))
    batch, keeps, lanes = chance.randrange(1, 5), chance.choice((0, 6)), chance.choice((1, 1, 2, 3))
    world = World(seed, loss, double, batch, keeps, (lanes, chance.choice((1, lanes)), lanes))
    names = "abcd"[: chance.randrange(1, 5)]
    for _ in range(steps):
        dice = chance.random()
        alive, dead = world.alive(), world.dead()
        if dice < deaths and alive:
            world.kill(chance.choice(alive))
        elif dice < 3 * deaths and dead:
            world.start(chance.choice(dead))
        elif dice > 0.995:
            world.now_ns += 1_100_000_000
        elif dice > 0.98 and len(world.streams) < len(names):
            name = chance.choice([name for name in names if name not in world.streams])
            _add(world, name, chance)
        elif dice > 0.9785 and world.streams:
            world.remove(chance.choice(list(world.streams)))
        elif dice > 0.977 and world.streams:
            world.pause(chance.choice(list(world.streams)), chance.random() < 0.3)
        elif alive:
            world.resume(chance.choice(alive), min(40, int(chance.expovariate(0.15))))
        for name in world.reap():
            if chance.random() < 0.5:
                _add(world, name, chance)
    world.drain()
    return world


def _add(world: World, name: str, chance: random.Random) -> None:
    length = chance.randrange(1, chance.choice((8, 120)))
    world.add(name, chance.randrange(1, 7), length, live=chance.random() < 0.5)
