"""The flags: each is declared once, with its help, in a group."""

from pipelines.options.flags import NEEDED, REMOVED, parser


def test_every_flag_has_help_and_stands_in_a_group() -> None:
    for group in parser()._action_groups:
        for action in group._group_actions:
            assert action.help, action.option_strings
            assert group.title


def test_flags_that_are_needed_exist_and_flags_that_are_gone_do_not() -> None:
    names = {name for action in parser()._actions for name in action.option_strings}
    assert {f"--{name}" for name in NEEDED} <= names
    assert not names & REMOVED.keys()
