//! What `wit-bindgen` generates from the contract. The rest of the crate gives it an ergonomic face; only `export!` names it.
//!
//! Natively the record types are ordinary types; the imported functions exist but must not be called.

// The generated code passes pointers across the component boundary, which no safe Rust can; its soundness is wit-bindgen's business.
// Its modules carry no docs of their own, its types have those of the contract.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)]

wit_bindgen::generate!({
    path: "../wit",
    world: "plugin",
    pub_export_macro: true,
    default_bindings_module: "copal_sdk::bindings",
    additional_derives: [PartialEq, Eq],
    with: {
        "copal:plugin/types@0.1.0/failure": crate::Failure,
        "copal:plugin/types@0.1.0/fragment": crate::Fragment,
    },
    generate_all,
});
