"""Few calls run at a time, and who waits lets others run."""

import threading

from ersgallery_server.turns import Turns


def test_a_turn_is_given_to_others_while_its_call_waits_and_at_its_end() -> None:
    turns = Turns(1)
    with turns.turn() as turn, turn.without(), turns.turn() as other:
        assert other._held
    with turns.turn() as next_one:
        assert next_one._held


def test_a_call_goes_on_without_a_turn_rather_than_wait_for_ever() -> None:
    turns = Turns(1)
    went_on = threading.Event()

    def call() -> None:
        with turns.turn():
            went_on.set()

    with turns.turn():
        threading.Thread(target=call).start()
        assert went_on.wait(60)
    with turns.turn() as turn:
        assert turn._held, "who had none gives none back"
