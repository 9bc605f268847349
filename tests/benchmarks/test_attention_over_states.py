"""The attention head over the states of an LSTM, which is PyTorch's; skipped without it."""

import pytest

torch = pytest.importorskip("torch")
import attention_over_states as head  # noqa: E402  (it imports torch)


def test_a_model_with_a_head_begins_as_the_model_without_one():
    losses = []
    for place in (None, *head.PLACES):
        torch.manual_seed(1)
        model = head.Model(7, 16, 8, 5, place)
        text = torch.arange(4 * 200).reshape(4, 200) % 7
        losses.append(head.evaluate(model, text))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6) == pytest.approx(losses[2], rel=1e-6)


def test_a_head_sees_the_states_of_its_window_and_no_later_ones():
    torch.manual_seed(1)
    one = head.Head(6, 4, 5)
    torch.nn.init.normal_(one.out.weight)
    states = torch.randn(1, 12, 6, requires_grad=True)
    found, _ = one(states, None)
    found[0, 9].sum().backward()
    reached = states.grad[0].abs().sum(dim=1).nonzero().flatten()
    assert reached.tolist() == [5, 6, 7, 8, 9]


def test_windows_that_carry_keys_and_values_find_what_one_long_window_finds():
    torch.manual_seed(1)
    one = head.Head(6, 4, 5)
    torch.nn.init.normal_(one.out.weight)
    states = torch.randn(2, 12, 6)
    whole, _ = one(states, None)
    first, memory = one(states[:, :7], None)
    second, memory = one(states[:, 7:], memory)
    assert torch.allclose(torch.cat([first, second], dim=1), whole, atol=1e-6)
    assert memory[0].shape == (2, 4, 4)


def test_operations_are_those_of_the_matrices():
    model = head.Model(9, 16, 8, 5, "top")
    matrices = {name: value.numel() for name, value in model.named_parameters() if value.ndim == 2}
    plain = sum(size for name, size in matrices.items() if "head" not in name and name != "lower.weight_ih_l0")
    own = sum(size for name, size in matrices.items() if "head" in name)
    assert head.operations(9, 16, 8, 5) == (plain, own + 2 * 5 * 8)
