//! libkeystore.
