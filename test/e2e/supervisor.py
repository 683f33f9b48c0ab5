"""Stands in for systemd as process 1, which no test can be: holds sockets and runs a service.

  supervisor.py FOLDER COMMAND...

It speaks the protocol of sd_notify(3), sd_listen_fds(3) and of the descriptor store: FDSTORE,
FDSTOREREMOVE, FDNAME and BARRIER with descriptors by SCM_RIGHTS, and LISTEN_PID, LISTEN_FDS and
LISTEN_FDNAMES for the next process. Sockets of one inode are stored once, as systemd has it.

Commands are lines of JSON on standard input, and each is answered by one line on standard output:

  {"do": "bind", "protocol": "udp", "host": "::", "port": 1, "name": "x", "blocking": true, ...}
  {"do": "start", "env": {...}}      starts the process; it gets all sockets that are held
  {"do": "end", "signal": 15}        sends the signal and waits for the end
  {"do": "code"}                     the exit code if the process has ended by itself, else null
  {"do": "drop"}                     closes all sockets that are held, and keeps none any more
  {"do": "held"}                     the names and addresses of all sockets that are held
  {"do": "messages"}                 the messages so far, and the number of descriptors in each

What the process writes to standard error goes to ours.
"""

import json
import os
import socket
import sys
import threading
import time

DESCRIPTORS_MAX = 768  # in one message, as systemd has it
BUSY_SECONDS = 0.1  # systemd does much else before it takes a socket out of its store
SO_TIMESTAMP = 29
folder, command = sys.argv[1], sys.argv[2:]
held = []  # (descriptor, name, bound by us)
messages = []
lock = threading.Lock()
keeps_none = False
pid = 0

notify_path = os.path.join(folder, "notify")
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(notify_path)


def inode(fd):
    return os.fstat(fd).st_ino


def take_message():
    data, fds, _flags, _address = socket.recv_fds(notify, 65536, DESCRIPTORS_MAX)
    lines = data.decode().split("\n")
    name = next((line[7:] for line in lines if line.startswith("FDNAME=")), "stored")
    with lock:
        if keeps_none:
            name, lines = "", [line for line in lines if line != "FDSTORE=1"]
        messages.append({"text": data.decode(), "descriptors": len(fds)})
        if "FDSTORE=1" in lines:
            for fd in fds:
                if any(inode(fd) == inode(other) for other, _, ours in held if not ours):
                    os.close(fd)
                else:
                    held.append((fd, name, False))
            return
        if "FDSTOREREMOVE=1" in lines:
            time.sleep(BUSY_SECONDS)
            for entry in [entry for entry in held if entry[1] == name and not entry[2]]:
                os.close(entry[0])
                held.remove(entry)
        for fd in fds:  # of BARRIER
            os.close(fd)


def take_messages():
    while True:
        take_message()


def bind(order):
    """Binds as a `.socket` unit does; `stored` as if an earlier run had left it."""
    kind = socket.SOCK_DGRAM if order["protocol"] == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in order["host"] else socket.AF_INET
    # The kernel lets sockets share a port only if one user has made them.
    os.seteuid(order.get("user", os.getuid()))
    bound = socket.socket(family, kind)
    os.seteuid(os.getuid())
    if order.get("shared"):
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(order.get("only", False)))
    if order.get("timestamps"):
        bound.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMP, 1)
    bound.bind((order["host"], order["port"]))
    if kind == socket.SOCK_STREAM:
        bound.listen(4096)
    if order.get("deaf"):
        bound.connect((order["host"], order["port"]))
        bound.shutdown(socket.SHUT_RD)
    bound.setblocking(order.get("blocking", False))
    with lock:
        held.append((bound.detach(), order.get("name", "buntracker.socket"), not order.get("stored")))
    return {}


def start(order):
    global pid
    with lock:
        sockets = [(fd, name) for fd, name, _ in held]
        # Numbers behind all that are in use, so that none is overwritten while they are placed.
        copies = [(os.dup(fd), name) for fd, name in sockets]
    pid = os.fork()
    if pid == 0:
        high = [os.dup2(fd, 500 + at) for at, (fd, _) in enumerate(copies)]
        for at, fd in enumerate(high):
            os.dup2(fd, 3 + at, inheritable=True)
        os.closerange(3 + len(high), 2000)
        env = {
            "PATH": "/usr/bin:/bin",
            "NOTIFY_SOCKET": notify_path,
            "LISTEN_PID": str(os.getpid()),
            "LISTEN_FDS": str(len(high)),
            "LISTEN_FDNAMES": ":".join(name for _, name in copies),
            **order.get("env", {}),
        }
        if not high:
            for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
                del env[name]
        os.dup2(2, 1)
        os.execve(command[0], command, env)
    for fd, _ in copies:
        os.close(fd)
    return {"pid": pid}


def drop(_order):
    global keeps_none
    with lock:
        keeps_none = True
        while held:
            os.close(held.pop()[0])
    return {}


def tell_code(_order):
    ended, status = os.waitpid(pid, os.WNOHANG)
    return {"code": None if ended == 0 else os.waitstatus_to_exitcode(status)}


def end(order):
    os.kill(pid, order.get("signal", 15))
    _, status = os.waitpid(pid, 0)
    return {"code": os.waitstatus_to_exitcode(status)}


def show(fd):
    return "%s:%s" % socket.socket(fileno=os.dup(fd)).getsockname()[:2]


def tell_held(_order):
    with lock:
        return {"held": [{"name": name, "at": show(fd)} for fd, name, _ in held]}


def tell_messages(_order):
    with lock:
        return {"messages": messages}


threading.Thread(target=take_messages, daemon=True).start()
ACTIONS = {
    "bind": bind,
    "start": start,
    "end": end,
    "code": tell_code,
    "drop": drop,
    "held": tell_held,
    "messages": tell_messages,
}
print("{}", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    print(json.dumps(ACTIONS[order["do"]](order)), flush=True)
