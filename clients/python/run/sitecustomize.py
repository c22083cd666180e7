"""Put first on PYTHONPATH by `hsmsign run`: the hooks, then the environment's own sitecustomize."""

import importlib.machinery
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))


def _next():
    """Runs the sitecustomize that would have been found without this one."""
    path = [entry for entry in sys.path if os.path.abspath(entry or ".") != _here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is None or spec.loader is None:
        return
    from importlib.util import module_from_spec

    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


try:
    from hsmsign._run import hook

    hook()
except BaseException as error:
    # Python would go on without the hooks, and a bot would send signatures made with a placeholder.
    sys.stderr.write("hsmsign: the hooks could not be put in place: %r\n" % (error,))
    sys.stderr.flush()
    os._exit(1)
_next()
