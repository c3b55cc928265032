//! Every language says everything.
