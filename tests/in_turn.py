"""A pool of threads without threads: what is given to it is done at once."""

from concurrent.futures import Future


class InTurn:
    """Stands for the ThreadPoolExecutor of searches."""

    def __init__(self, threads, name, initializer):
        initializer()

    def submit(self, work, *arguments):
        done = Future()
        done.set_result(work(*arguments))
        return done

    def shutdown(self, cancel_futures):
        pass
