"""The layers of a capped LSTM in PyTorch. The module of a capped LSTM is that of an LSTM with this class in it."""

import torch
from torch import nn


class CappedLSTM(nn.LSTM):
    """An LSTM whose input gate is at most 1 - f, so that c stays between -1 and 1. It has nn.LSTM's parameters."""

    def forward(self, x, state=None):
        """It is written out, because PyTorch has no module for it: x (T, B, D) becomes h (T, B, H), layer by layer."""
        h0, c0 = state or 2 * [x.new_zeros(self.num_layers, x.shape[1], self.hidden_size)]
        last_h, last_c = [], []
        for layer, (w_ih, w_hh, b_ih, b_hh) in enumerate(self.all_weights):
            h, c, outputs = h0[layer], c0[layer], []
            for z in x @ w_ih.T + b_ih + b_hh:
                i, f, g, o = (z + h @ w_hh.T).chunk(4, dim=-1)
                f = f.sigmoid()
                i = torch.minimum(i.sigmoid(), 1 - f)
                c = f * c + i * g.tanh()
                h = o.sigmoid() * c.tanh()
                outputs.append(h)
            x = torch.stack(outputs)
            last_h.append(h)
            last_c.append(c)
        return x, (torch.stack(last_h), torch.stack(last_c))
