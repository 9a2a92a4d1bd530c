"""The port that is listened on, and who has it where it cannot be had."""

import os
import socket
import sys

import pytest

from app import ports


def test_a_free_port_is_bound() -> None:
    with ports.bound("127.0.0.1", 0, 1) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who holds a port")
def test_a_taken_port_names_who_has_it_and_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ports.PortError) as caught:
            ports.bound("127.0.0.1", port, 1)
    text = str(caught.value)
    assert text.startswith(f"cannot listen on 127.0.0.1:{port}: Address already in use by ")
    assert f"(process {os.getpid()})" in text
    assert text.endswith("Choose another port with --port or CARLENS_PORT.")


def test_a_port_that_nobody_has_has_no_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert ports.holder(port) is None


def test_a_foreign_address_is_told_as_that() -> None:
    with pytest.raises(
        ports.PortError, match=r"192\.0\.2\.1:0: Cannot assign requested address\. Choose another address"
    ):
        ports.bound("192.0.2.1", 0, 1)
