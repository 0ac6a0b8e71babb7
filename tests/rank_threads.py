"""Ranks without MPI: threads of one process, and a communicator that does for them what mpi4py's does, where a
collective operation is done as late as it may be."""

import sys
import threading
import types

import numpy as np

import fastconv as fc


class _Board:
    """What the ranks of one communicator have posted, by the number of the operation; family: the boards of all
    communicators of these ranks, which end together."""

    def __init__(self, size, family=None):
        self.size, self.posts, self.changed, self.broken = size, {}, threading.Condition(), False
        self.family = [] if family is None else family
        self.family.append(self)

    def post(self, number, rank, value):
        with self.changed:
            self.posts.setdefault(number, {})[rank] = value
            self.changed.notify_all()

    def complete(self, number):
        return self.broken or len(self.posts[number]) == self.size

    def wait(self, number):
        with self.changed:
            if not self.changed.wait_for(lambda: self.complete(number), timeout=60) or self.broken:
                raise RuntimeError("a rank is gone")
        return [self.posts[number][rank] for rank in range(self.size)]


class Request:
    def __init__(self, board, number, finish):
        self.board, self.number, self.finish, self.tests = board, number, finish, 0

    def Test(self):
        self.tests += 1
        if self.tests < 3 or not self.board.complete(self.number):
            return False
        self.Wait()
        return True

    def Wait(self):
        if self.finish is not None:
            self.finish(self.board.wait(self.number))
            self.finish = None


class Comm:
    def __init__(self, board, rank):
        self.board, self.rank, self.count = board, rank, 0

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return self.board.size

    def _request(self, value, finish):
        self.count += 1
        self.board.post(self.count, self.rank, value)
        return Request(self.board, self.count, finish)

    def allgather(self, value):
        found = []
        self._request(value, found.extend).Wait()
        return found

    def bcast(self, value):
        return self.allgather(value)[0]

    def Dup(self):
        return Comm(self.allgather(_Board(self.board.size, self.board.family))[0], self.rank)

    def Split_type(self, kind):
        return self.Dup()

    def Free(self):
        self.allgather(None)

    def Allgather(self, sent, received):
        received.reshape(-1)[:] = np.concatenate([np.ravel(one) for one in self.allgather(sent)])

    def Iallgatherv(self, sent, received):
        array, counts = received

        def finish(posts):
            assert [post.size for post in posts] == list(counts)
            array.reshape(-1)[:] = np.concatenate([np.ravel(post) for post in posts])

        return self._request(sent, finish)

    def Allgatherv(self, sent, received):
        self.Iallgatherv(sent, received).Wait()

    def Ialltoallv(self, sent, received):
        array, counts = received

        def finish(posts):
            parts = []
            for packed, lengths in posts:
                first = sum(lengths[: self.rank])
                parts.append(packed[first : first + lengths[self.rank]])
            assert [part.size for part in parts] == list(counts)
            array[:] = np.concatenate(parts)

        return self._request(sent, finish)

    def Abort(self, code):
        for board in list(self.board.family):
            with board.changed:
                board.broken = True
                board.changed.notify_all()


def on_ranks(size, work):
    """What ``work(comm)`` returned, or raised, on each of so many ranks."""
    board, results = _Board(size), [None] * size

    def run(rank):
        try:
            with fc.num_threads(1):
                results[rank] = work(Comm(board, rank))
        except BaseException as error:
            results[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive(), "a rank waits for ever"
    return results


def pretend(monkeypatch):
    """What `fastconv.training` takes from mpi4py by name."""
    monkeypatch.setitem(sys.modules, "mpi4py", types.ModuleType("mpi4py"))
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", types.SimpleNamespace(COMM_TYPE_SHARED=0))
