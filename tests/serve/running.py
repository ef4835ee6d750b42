"""A server of this process, in a thread, on a real socket."""

import contextlib
import threading
import time

from bridge_jax.serve import run


@contextlib.contextmanager
def server(served, security):
    """The address of a running server."""
    made = run.make(served, security)
    listener = run.bind(security.host, 0)
    thread = threading.Thread(target=made.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not made.started:
            assert thread.is_alive()
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        served.backend.close()
        made.should_exit = True
        thread.join(20)
        listener.close()
    assert not thread.is_alive()
