"""The protobuf echo/add protocol of the server that this one replaces, from outside."""
import os
import random
import socket
import threading

import harness
from log_clients import books, half_close, has_ended, read_to_end

SEED = int(os.environ.get("SLUICE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
ECHO_HI = bytes.fromhex("0a040a024869")
ADD_10_20 = bytes.fromhex("1204080a1014")
SUM_30 = bytes.fromhex("1202081e")


def rpc_server(scratch, **settings):
    return scratch.server(**({"PROTOCOLS": "rpc"} | settings))


def varint(number):
    number &= (1 << 64) - 1
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def echo(text):
    message = b"\x0a" + varint(len(text)) + text if text else b""
    return b"\x0a" + varint(len(message)) + message


def add(a, b):
    body = b"".join(tag + varint(number) for tag, number in ((b"\x08", a), (b"\x10", b)) if number)
    return b"\x12" + varint(len(body)) + body


def total(number):
    """The answer to an add: int32 sums wrap."""
    number = (number + (1 << 31)) % (1 << 32) - (1 << 31)
    return add(number, 0)


def prefixed(message):
    return len(message).to_bytes(4, "big") + message


def exchange(server, content):
    with server.connect(server.rpc_port) as client:
        sender = threading.Thread(target=lambda: (client.sendall(content), client.shutdown(socket.SHUT_WR)))
        sender.start()
        answer = read_to_end(client)
        sender.join()
    return answer


def test_the_examples_of_its_documents_are_answered_byte_for_byte(scratch):
    server = rpc_server(scratch).start()
    with server.connect(server.rpc_port) as client:
        for request, answer in ((ECHO_HI, ECHO_HI), (ADD_10_20, SUM_30)):
            client.sendall(request)
            assert client.recv(100) == answer
        assert half_close(client) == b""
    assert echo(b"Hi") == ECHO_HI and add(10, 20) == ADD_10_20 and total(30) == SUM_30
    server.stop()
    assert not server.spool.exists() and not server.objects.exists(), "rpc keeps nothing"


def test_sums_wrap_and_texts_of_any_size_come_back(scratch):
    server = rpc_server(scratch).start()
    for a, b in ((0, 0), (2**31 - 1, 1), (-2**31, -1), (-5, 3), (2**31 - 1, 2**31 - 1)):
        assert exchange(server, add(a, b)) == total(a + b), (a, b)
    for text in (b"", "é€😀".encode(), b"x" * 511, b"x" * 513, b"x" * 1_000_000):
        assert exchange(server, echo(text)) == echo(text), len(text)
        assert exchange(server, prefixed(echo(text))) == prefixed(echo(text)), len(text)
    assert exchange(server, b"\x0a\x02\x0a\x00") == echo(b""), "a default is never sent"
    server.stop()


def test_requests_are_answered_in_order_however_they_are_cut_or_joined(scratch):
    server = rpc_server(scratch).start()
    content = ECHO_HI + prefixed(ADD_10_20) + ADD_10_20 + prefixed(ECHO_HI) + echo(b"")
    wanted = ECHO_HI + prefixed(SUM_30) + SUM_30 + prefixed(ECHO_HI) + echo(b"")
    received = 0
    for cut in range(len(content)):
        with server.connect(server.rpc_port) as client:
            client.sendall(content[:cut])
            received += cut
            harness.wait_for(lambda: books(server, "rpc")["bytes_received"] == received, "read")
            client.sendall(content[cut:])
            received += len(content) - cut
            assert half_close(client) == wanted, f"cut at {cut}"
    with server.connect(server.rpc_port) as client:
        for byte in content:
            client.sendall(bytes([byte]))
        assert half_close(client) == wanted
    print(f"SLUICE_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    requests, answers = b"", b""
    for _ in range(20_000):
        request, answer = chance.choice(((ECHO_HI, ECHO_HI), (ADD_10_20, SUM_30)))
        form = chance.choice((bytes, prefixed))
        requests, answers = requests + form(request), answers + form(answer)
    assert exchange(server, requests) == answers
    counted = books(server, "rpc")
    assert counted["rpc_requests"] == 5 * (len(content) + 1) + 20_000, counted
    assert counted["difference"] == 0, counted
    server.stop()


def test_bytes_that_are_no_request_are_named_and_closed_behind_the_answers_before_them(scratch):
    server = rpc_server(scratch).start()
    for bad, reason in ((b"GET / HTTP/1.1\r\n\r\n", "begins no request"),
                        (b"\x1a\x00", "field 3"),
                        (b"\x08\x01", "wire type 0"),
                        (b"\0\0\0\0", "an empty message"),
                        (b"\x12\x02\xff\xff", ""),  # its length is right, its content is none
                        (b"\0\0\0\x02\x12\x05", ""),
                        (b"\0\x20\0\0", "more than"),
                        (b"\x0a\xff\xff\xff\xff\xff\xff", "2 GiB")):
        before = len(server.lines("rpc refused"))

        def named(bad=bad, reason=reason, before=before):
            """Tried until its line comes through: there is one a second at most."""
            with server.connect(server.rpc_port) as client:
                client.sendall(ECHO_HI + ADD_10_20 + bad)
                answers = client.recv(len(ECHO_HI + SUM_30), socket.MSG_WAITALL)
                assert answers == ECHO_HI + SUM_30 and has_ended(client)
            return [line for line in server.lines("rpc refused")[before:] if reason in line["reason"]]
        [line, *_] = harness.wait_for(named, f"the reason of {bad!r}")
        assert line["reason"] and line["peer"].startswith("127.0.0.1:"), line
    assert exchange(server, ADD_10_20) == SUM_30
    assert books(server, "rpc")["difference"] == 0
    server.stop()


def test_a_request_that_is_cut_by_the_end_is_named_and_those_before_it_answered(scratch):
    server = rpc_server(scratch).start()
    assert exchange(server, ECHO_HI + ADD_10_20[:-1]) == ECHO_HI
    assert "5 bytes of it were there" in server.wait_for_line("rpc cut")["reason"]
    assert books(server, "rpc")["rpc_malformed"] == 1
    server.stop()


def test_idle_clients_hold_nobody_up(scratch):
    server = rpc_server(scratch, RECEIVE_THREADS=1, FRAME_THREADS=1).start()
    idle = [server.connect(server.rpc_port) for _ in range(50)]
    for client in idle[25:]:
        client.sendall(ECHO_HI[:3])
    assert exchange(server, ADD_10_20) == SUM_30
    for client in idle[25:]:
        client.sendall(ECHO_HI[3:])
        assert half_close(client) == ECHO_HI
    server.stop()


def test_a_request_over_the_largest_is_refused_before_it_is_there(scratch):
    server = rpc_server(scratch, MAX_MESSAGE_SIZE="64KiB").start()
    fits = echo(b"x" * ((64 << 10) - 8))
    assert len(fits) == 64 << 10 and exchange(server, fits) == fits
    with server.connect(server.rpc_port) as client:
        client.sendall(echo(b"x" * (64 << 10))[:10])
        assert has_ended(client)
    assert "more than the 65536 allowed" in server.wait_for_line("rpc refused")["reason"]
    server.stop()


def test_n6_an_rpc_client_that_reads_no_answer_is_held_then_closed(scratch):
    server = rpc_server(scratch, REPLY_TIMEOUT=1, MEMORY_MAX_BYTES="16MiB").start()
    with server.connect(server.rpc_port) as client:
        client.setblocking(False)
        request, sent = echo(b"x" * 10_000), 0

        def is_closed():
            nonlocal sent
            try:
                for _ in range(1000):
                    sent += client.send(request[sent % len(request):])
            except BlockingIOError:
                pass
            except ConnectionError:
                return True
            assert exchange(server, ADD_10_20) == SUM_30, "the others go on"
            return False
        harness.wait_for(is_closed, "it is closed")
    server.wait_for_line("replies not taken")
    server.stop()


if __name__ == "__main__":
    harness.main(globals())
