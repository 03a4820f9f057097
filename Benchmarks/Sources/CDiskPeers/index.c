#include "cdiskpeers.h"

#include <stdbool.h>
#include <stdlib.h>

// The array of September 2012: searched from its begin, in the order in which grants came.

struct cdisk_array {
    int count;
    uint32_t *references;
    int32_t *values;
};

struct cdisk_array *cdisk_array_make(int limit) {
    struct cdisk_array *array = calloc(1, sizeof *array);
    if (array == NULL) {
        return NULL;
    }
    array->references = calloc(limit, sizeof *array->references);
    array->values = calloc(limit, sizeof *array->values);
    if (array->references == NULL || array->values == NULL) {
        cdisk_array_free(array);
        return NULL;
    }
    return array;
}

void cdisk_array_insert(struct cdisk_array *array, uint32_t reference, int32_t value) {
    array->references[array->count] = reference;
    array->values[array->count++] = value;
}

int64_t cdisk_array_pass(
    const struct cdisk_array *array, const uint32_t *references, int count) {
    int64_t sum = 0;
    for (int number = 0; number < count; number++) {
        int place = 0;
        while (place < array->count && array->references[place] != references[number]) {
            place++;
        }
        sum += place < array->count ? array->values[place] : -1;
    }
    return sum;
}

void cdisk_array_free(struct cdisk_array *array) {
    free(array->references);
    free(array->values);
    free(array);
}

// The red-black tree of October 2012. Sedgewick's and Guibas's rules: no red node has a red child,
// and each way from the root down meets as many black nodes.

struct node {
    struct node *parent;
    struct node *child[2];
    bool is_red;
    uint32_t reference;
    int32_t value;
};

struct cdisk_tree {
    struct node *root;
};

struct cdisk_tree *cdisk_tree_make(void) {
    return calloc(1, sizeof(struct cdisk_tree));
}

static void replace(struct cdisk_tree *tree, struct node *old, struct node *new) {
    if (old->parent == NULL) {
        tree->root = new;
    } else {
        old->parent->child[old->parent->child[1] == old] = new;
    }
    new->parent = old->parent;
}

/// Turns a node down to a side; its child on the other side comes up.
static void rotate(struct cdisk_tree *tree, struct node *top, int side) {
    struct node *riser = top->child[!side];
    replace(tree, top, riser);
    top->child[!side] = riser->child[side];
    if (riser->child[side] != NULL) {
        riser->child[side]->parent = top;
    }
    riser->child[side] = top;
    top->parent = riser;
}

static void restore(struct cdisk_tree *tree, struct node *node) {
    while (node->parent != NULL && node->parent->is_red) {
        struct node *parent = node->parent;
        // A red node is not the root, so there is one above it.
        struct node *above = parent->parent;
        int side = above->child[1] == parent;
        struct node *uncle = above->child[!side];
        if (uncle != NULL && uncle->is_red) {
            parent->is_red = uncle->is_red = false;
            above->is_red = true;
            node = above;
            continue;
        }
        if (parent->child[!side] == node) {
            rotate(tree, parent, side);
            parent = node;
        }
        parent->is_red = false;
        above->is_red = true;
        rotate(tree, above, !side);
        break;
    }
    tree->root->is_red = false;
}

int cdisk_tree_insert(struct cdisk_tree *tree, uint32_t reference, int32_t value) {
    struct node *node = calloc(1, sizeof *node);
    if (node == NULL) {
        return -1;
    }
    node->reference = reference;
    node->value = value;
    node->is_red = true;
    struct node **link = &tree->root;
    while (*link != NULL) {
        node->parent = *link;
        link = &(*link)->child[reference > (*link)->reference];
    }
    *link = node;
    restore(tree, node);
    return 0;
}

int64_t cdisk_tree_pass(
    const struct cdisk_tree *tree, const uint32_t *references, int count) {
    int64_t sum = 0;
    for (int number = 0; number < count; number++) {
        uint32_t reference = references[number];
        const struct node *node = tree->root;
        while (node != NULL && node->reference != reference) {
            // As the kernel's walk: a branch, whose prediction lets the next node be loaded early.
            if (reference < node->reference) {
                node = node->child[0];
            } else {
                node = node->child[1];
            }
        }
        sum += node != NULL ? node->value : -1;
    }
    return sum;
}

/// Answers how many black nodes each way down meets, or -1; counts the nodes.
static int black_height(
    const struct node *node, const struct node *parent, int64_t low, int64_t high, int *count) {
    if (node == NULL) {
        return 0;
    }
    if (node->parent != parent || node->reference <= low || node->reference >= high ||
        (node->is_red && (parent == NULL || parent->is_red))) {
        return -1;
    }
    ++*count;
    int left = black_height(node->child[0], node, low, node->reference, count);
    int right = black_height(node->child[1], node, node->reference, high, count);
    return left < 0 || left != right ? -1 : left + !node->is_red;
}

int cdisk_tree_check(const struct cdisk_tree *tree) {
    int count = 0;
    return black_height(tree->root, NULL, -1, INT64_MAX, &count) < 0 ? -1 : count;
}

static void free_nodes(struct node *node) {
    if (node != NULL) {
        free_nodes(node->child[0]);
        free_nodes(node->child[1]);
        free(node);
    }
}

void cdisk_tree_free(struct cdisk_tree *tree) {
    free_nodes(tree->root);
    free(tree);
}
