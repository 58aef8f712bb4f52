//! The standard cells and layers, as readable `.seq` source.
//!
//! In: a name. Out: the text that defines it. Nothing here is known to the compiler: a file can
//! copy a definition and change it.

/// One definition of the library.
#[derive(Debug)]
pub struct Part {
    pub name: &'static str,
    pub file: &'static str,
    pub text: &'static str,
}

macro_rules! parts {
    ($($name:literal in $file:literal),* $(,)?) => {
        [$(Part { name: $name, file: $file, text: include_str!($file) }),*]
    };
}

pub static PARTS: [Part; 20] = parts![
    "RNN" in "rnn.seq",
    "LSTM" in "lstm.seq",
    "GRU" in "gru.seq",
    "GRU2014" in "gru2014.seq",
    "PeepholeLSTM" in "peephole_lstm.seq",
    "LayerNormLSTM" in "layernorm_lstm.seq",
    "MinGRU" in "min_gru.seq",
    "LayerNorm" in "layer_norm.seq",
    "RMSNorm" in "rms_norm.seq",
    "attend" in "attend.seq",
    "AddSinusoid" in "add_sinusoid.seq",
    "Rotary" in "rotary.seq",
    "Additive" in "additive.seq",
    "Dot" in "dot.seq",
    "MultiHead" in "multi_head.seq",
    "CausalMultiHead" in "causal_multi_head.seq",
    "TransformerEncoder" in "transformer_encoder.seq",
    "TransformerDecoder" in "transformer_decoder.seq",
    "MixtureOfExperts" in "mixture_of_experts.seq",
    "Conv" in "conv.seq",
];

/// The part that defines `name`.
pub fn find(name: &str) -> Option<&'static Part> {
    PARTS.iter().find(|p| p.name == name)
}
