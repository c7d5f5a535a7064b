"""What the tests stand on: real processes, and clients that speak as the PBX, the operator and the tester do.

A test in six lines, with the fixtures of `tests/conftest.py`:

    def test_a_message_becomes_an_order(pbx, stub):
        answer = pbx.send(to="+639171234567", text="Your table is ready")
        assert answer.status == 200
        [order] = stub.orders()
        assert order["order_id"] == answer.json["data"]["id"]
        assert order["var"] == "Your table is ready"
"""
