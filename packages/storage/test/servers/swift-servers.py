"""Debian's swift on ports of loopback that the system picks: proxy (with s3api), account, container and object server.

The servers are swift's own, from their own pipelines. Here: sockets, a ring of one disk, a cache in memory for memcached's,
and no fsync. Prints the endpoint once every server is ready. Ends, and removes its directory, when standard input ends:
also when who started it was killed.
"""

import ctypes
import os
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from array import array

import eventlet

eventlet.patcher.monkey_patch(all=False, socket=True, select=True, thread=True)

from swift.common import storage_policy, utils, wsgi
from swift.common.ring import RingData

INNER = ("account", "container", "object")
FILTERS = "catch_errors gatekeeper listing_formats memory s3api tempauth copy slo versioned_writes symlink".split()
OPTIONS = {
    "s3api": "location = us-east-1\nstorage_domain = s3.localhost\nmax_bucket_listing = 100",
    "tempauth": "user_postern_tester = testing .admin",
}
# Patient: a busy machine is no broken server. One error must not take the only node out of use.
PATIENCE = "conn_timeout = 30\nnode_timeout = 60\nrecoverable_node_timeout = 60\nerror_suppression_interval = 0"
PR_SET_PDEATHSIG = 1


class Cache:
    """What swift asks of memcached. Only the proxy has it, and only it changes what is in it."""

    def __init__(self):
        self.items = {}

    def get(self, key, **_):
        return self.items.get(key)

    def set(self, key, value, **_):
        self.items[key] = value

    def incr(self, key, delta=1, **_):
        self.items[key] = self.items.get(key, 0) + delta
        return self.items[key]

    def delete(self, key, **_):
        self.items.pop(key, None)


def cache_filter(_, **__):
    cache = Cache()

    def wrap(app):
        def call(env, start_response):
            env["swift.cache"] = cache
            return app(env, start_response)

        return call

    return wrap


def write(directory, name, text):
    with open(os.path.join(directory, name), "w") as file:
        file.write(text + "\n")


def configure(directory, ports):
    default = f"[DEFAULT]\nswift_dir = {directory}\ndevices = {directory}/devices\nmount_check = false\nuser = root\nlog_level = ERROR"
    os.makedirs(f"{directory}/devices/disk")
    write(directory, "swift.conf", "[swift-hash]\nswift_hash_path_suffix = postern\nswift_hash_path_prefix = postern")
    for name in INNER:
        server = f"[app:{name}-server]\nuse = egg:swift#{name}\nlog_requests = false\ndisable_fallocate = true\ncontainer_update_timeout = 60"
        write(directory, f"{name}.conf", f"{default}\n[pipeline:main]\npipeline = {name}-server\n{server}\n{PATIENCE}")
        node = {"id": 0, "region": 1, "zone": 1, "device": "disk", "weight": 1, "ip": "127.0.0.1", "port": ports[name]}
        node.update(replication_ip=node["ip"], replication_port=node["port"])
        RingData([array("H", [0])], [node], 32).save(f"{directory}/{name}.ring.gz")
    proxy = [default, f"[pipeline:main]\npipeline = {' '.join(FILTERS)} proxy-server"]
    proxy += [f"[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n{PATIENCE}"]
    for name in FILTERS:
        use = f"egg:swift#{name}" if name != "memory" else "call:swift_for_tests:cache_filter"
        proxy += [f"[filter:{name}]\nuse = {use}\n{OPTIONS.get(name, '')}"]
    write(directory, "proxy.conf", "\n".join(proxy))


def serve(directory, name, listening, ready):
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    conf = {"__file__": f"{directory}/{name}.conf", "client_timeout": "60"}
    logger = utils.get_logger({"log_name": name, "log_level": "ERROR"}, log_to_console=True)
    wsgi.run_server(conf, logger, listening, ready_callback=lambda: os.write(ready, b"."))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    directory = tempfile.mkdtemp(prefix="postern-swift-")
    children = []
    try:
        try:
            os.setxattr(directory, "user.postern", b"")
        except OSError as error:
            sys.exit(f"{directory} takes no extended attributes, where swift keeps metadata; TMPDIR names another place: {error}")
        sys.modules["swift_for_tests"] = sys.modules["__main__"]
        os.fsync = os.fdatasync = lambda _: None
        listening = {name: eventlet.listen(("127.0.0.1", 0), backlog=512) for name in (*INNER, "proxy")}
        for each in listening.values():
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ports = {name: each.getsockname()[1] for name, each in listening.items()}
        configure(directory, ports)
        utils.SWIFT_CONF_FILE = f"{directory}/swift.conf"
        utils.validate_configuration()
        storage_policy.reload_storage_policies()
        told, ready = os.pipe()
        signal.signal(signal.SIGCHLD, lambda *_: sys.exit("one of swift's servers ended"))
        for name in listening:
            pid = os.fork()
            if pid == 0:
                try:
                    serve(directory, name, listening[name], ready)
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(1)
            children.append(pid)
        os.close(ready)
        up = 0
        while up < len(listening):
            up += len(os.read(told, 16))
        print(f"http://127.0.0.1:{ports['proxy']}", flush=True)
        while os.read(0, 4096):
            pass
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
