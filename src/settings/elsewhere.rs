//! Arguments that other tools have.
//!
//! In: a function of the settings and a name that is no argument of it. Out: how the same is done here.

/// Where other tools have such an argument and no argument stands for it here.
pub fn elsewhere(function: &str, name: &str) -> Option<String> {
    let help = match (function, name) {
        ("csv" | "tsv", "sep" | "separator" | "delimiter" | "delim") => {
            "csv(…) has commas between cells, tsv(…) tabs: put one of them in place of another, \
             after decimal commas have become points (25.5 for 25,5)"
        }
        ("csv" | "tsv", "decimal") => "numbers have a decimal point: 25.5 for 25,5",
        _ => return None,
    };
    Some(help.to_string())
}
