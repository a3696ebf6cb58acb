"""For processes under test: they reach no address but this machine's.

Python imports this module by itself where the folder is on ``PYTHONPATH``. Refused names are added
to the file ``THERMO_GUARD``. ``THERMO_WEIGHTS`` gives torchvision's files the names of others: the
hash of its content is in the name of each.
"""

import json
import os
import socket

_connect, _connect_ex = socket.socket.connect, socket.socket.connect_ex
_look_up = socket.getaddrinfo


def _refuse(host):
    with open(os.environ["THERMO_GUARD"], "a", encoding="utf-8") as file:
        file.write(f"{host}\n")
    raise socket.gaierror(socket.EAI_NONAME, f"{host} is not this machine")


def _checked(call):
    def connect(self, address):
        if self.family != socket.AF_UNIX and address[0] != "127.0.0.1":
            _refuse(address[0])
        return call(self, address)

    return connect


def _looked_up(host, *arguments, **options):
    name = host.decode() if isinstance(host, bytes) else host
    if name == "localhost":
        host = "127.0.0.1"
    elif name not in (None, "", "127.0.0.1"):
        _refuse(name)
    return _look_up(host, *arguments, **options)


if "THERMO_GUARD" in os.environ:
    socket.socket.connect = _checked(_connect)  # type: ignore[method-assign]
    socket.socket.connect_ex = _checked(_connect_ex)  # type: ignore[method-assign]
    socket.getaddrinfo = _looked_up

if "THERMO_WEIGHTS" in os.environ:
    from importlib import import_module

    for _network, _file in json.loads(os.environ["THERMO_WEIGHTS"]).items():
        _weights = import_module(f"companion.networks.{_network}").WEIGHTS
        _weights[f"torchvision/{_network}"] = _file
