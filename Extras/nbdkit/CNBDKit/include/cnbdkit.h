#ifndef CNBDKIT_H
#define CNBDKIT_H

// What the plugin's Swift part calls in nbdkit. nbdkit's own header is not included: its functions
// take variable arguments, which Swift does not import.

/// Says on nbdkit's log why the call that is under way fails (nbdkit_error).
void cnbdkit_error(const char *_Nonnull text);

/// Sets what the client is told about the call that is under way (nbdkit_set_error).
void cnbdkit_set_error(int error);

#endif
