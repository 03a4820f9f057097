#ifndef CDESTINATIONPEERS_H
#define CDESTINATIONPEERS_H

#include <stdint.h>

/// A reference count alone in its line.
struct cdst_count;

/// Makes a count of one reference.
struct cdst_count *_Nonnull cdst_make_count(void);

/// Takes and gives back a reference `rounds` times: reads the count before the decrement, as was done
/// before 2008.
void cdst_read_then_decrement(struct cdst_count *_Nonnull count, uint64_t rounds);

/// The same with the decrement's own result.
void cdst_decrement_and_return(struct cdst_count *_Nonnull count, uint64_t rounds);

/// Runs the calling thread on one processor only. Answers 0 or a negated errno.
int cdst_pin(int processor);

/// The classic garbage list: entries of 256 bytes, linked, all walked in each pass.
struct cdst_list;

/// Makes `count` retired entries that are held, linked in the order of `order`.
struct cdst_list *_Nullable cdst_make_list(uint32_t count, const uint32_t *_Nonnull order);

/// Gives back an entry's last reference.
void cdst_release(struct cdst_list *_Nonnull list, uint32_t index);

/// Walks the whole list and frees what nobody holds. Answers how many that were; `delayed` is how many
/// are left.
uint32_t cdst_pass(struct cdst_list *_Nonnull list, uint32_t *_Nonnull delayed);

/// Frees the list with its entries.
void cdst_free_list(struct cdst_list *_Nonnull list);

#endif
