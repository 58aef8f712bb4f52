//! What the style looks like, on a file that has all of the language.

use crate::ast::{Style, dump, format, parse};
use crate::span::FileId;

const MESSY: &str = r#"
# A file with everything in it, laid out by nobody in particular.


time S,T    # two axes
time   D=30
dim E=256,N = 8 , D2= E / N      # heads
cell LSTM( H ,A=3, ){   input   x:[X]   # fed
  context encoding:[S,K]
 state h,c:[H]=h0


  param Wf~ones
  # gates
  f=sigmoid(Wf@[h,x]+bf)   # forget
  candidate=tanh( Wg·[h,x]+bg )
  c'=f*c+i * g
  e[s]=v · tanh(Wa·gru.h+enc[s])
  w[t,s]=softmax( e[s] )over s where s<=t and(t-s<16 or not mod(s,3)==0)
  alpha = -δ^2/4

  output h'  ,c'  # both
  watch alpha }
block Empty(){}
block Bare {
  # nothing yet
}
fn attend(q:[T,D],k)=q·k/sqrt(D)
fn f(x){output x}
model M { input review:[T]token
target mood:class
x =
   review
   |>Embed(100)   # vectors
   # and now the loops
   |>scan both LSTM(64)|>scan C over W with enc=e,memory=m from lstm.h=h0
   |>Repeat(8 as i,Conv(H,dilation=2^i))
predict mood=[max(x) over T,mean(x)over T] |> dropout(0.5) |> Linear(1000) |> relu |> Linear(2000) |> relu |> softmax
long = f(first_argument_of_many + second_argument_of_many, third_argument_of_many, fourth_argument_of_many)
short = g(
  a, # one
  b,
)
penalty kl=sum(x ^ 2)/2
}
data d {
from="a\"b.txt"
y=column(1)|>chars()
given m[t]=choose(t==i,1,0)
}
train M on d { batch=32
loss.stars=huber(1.0) # smooth
params "rnn.U*" { lr=5e-4 }
params vectors { decay=0 } # no decay
params matrices {
frozen=yes
clip=3
} # end
}
generate M { }
# the end"#;

fn formatted(style: Style) -> String {
    let file = parse(MESSY, FileId(0)).unwrap();
    format(&file, MESSY, style)
}

#[test]
fn the_style() {
    insta::with_settings!({
        snapshot_path => "../../../snapshots/ast",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!("format", formatted(Style::default())) });
}

#[test]
fn the_tree() {
    let file = parse(MESSY, FileId(0)).unwrap();
    insta::with_settings!({
        snapshot_path => "../../../snapshots/ast",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!("dump", dump(&file)) });
}

#[test]
fn the_ascii_style_differs_in_spelling_only() {
    let ascii = formatted(Style { ascii: true });
    for gone in ["·", "σ", "α"] {
        assert!(!ascii.contains(gone), "{gone}");
    }
    for kept in ["sigmoid(Wf@[h, x] + bf)", "watch alpha", "-δ^2/4"] {
        assert!(ascii.contains(kept), "{kept}\n{ascii}");
    }
    let file = parse(&ascii, FileId(0)).unwrap();
    let back = format(&file, &ascii, Style::default());
    let again = parse(&back, FileId(0)).unwrap();
    assert_eq!(dump(&again), dump(&parse(MESSY, FileId(0)).unwrap()));
}

/// The shipped files, as data of the test: whatever the style is, they are written in it.
#[test]
fn the_examples_keep_their_tree_and_comments() {
    insta::glob!("../../../examples", "*.seq", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let file = parse(&text, FileId(0)).unwrap();
        let once = format(&file, &text, Style::default());
        let again = parse(&once, FileId(0)).unwrap();
        assert_eq!(dump(&file), dump(&again));
        assert_eq!(file.comments.len(), again.comments.len());
        assert_eq!(format(&again, &once, Style::default()), once);
    });
}
