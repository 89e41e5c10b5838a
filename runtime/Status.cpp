//===- Status.cpp - error sentences and the device status word ------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Formats into memory of the caller; knows nothing of libraries or kernels.
//
//===----------------------------------------------------------------------===//
#include "runtime/Status.h"

#include "runtime/ArtifactAbi.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

static_assert(sizeof(fil_status_word) == sizeof(fil_abi_status_word) &&
                  offsetof(fil_status_word, col) ==
                      offsetof(fil_abi_status_word, col),
              "kernels write the caller's status word");

namespace filigree::runtime {

// A caller of an older header may have a shorter message; one that forgot to
// set the size gets nothing written at all.
static size_t messageCapacity(const fil_error *err) {
  constexpr size_t start = offsetof(fil_error, message);
  if (!err || err->size <= start)
    return 0;
  size_t size = err->size < sizeof(fil_error) ? err->size : sizeof(fil_error);
  return size - start;
}

fil_status fail(fil_error *err, fil_code code, const char *format, ...) {
  if (size_t capacity = messageCapacity(err)) {
    err->code = code;
    va_list values;
    va_start(values, format);
    vsnprintf(err->message, capacity, format, values);
    va_end(values);
  }
  return code;
}

fil_status failIn(fil_error *err, fil_status code, const char *path) {
  if (size_t capacity = messageCapacity(err)) {
    size_t length = strnlen(err->message, capacity);
    snprintf(err->message + length, capacity - length, " (in `%s`)", path);
  }
  return code;
}

fil_status succeed(fil_error *err) {
  if (messageCapacity(err)) {
    err->code = FIL_OK;
    err->message[0] = 0;
  }
  return FIL_OK;
}

void Text::append(const char *format, ...) {
  va_list values;
  va_start(values, format);
  int written =
      vsnprintf(chars + length, sizeof(chars) - length, format, values);
  va_end(values);
  if (written > 0)
    length += static_cast<size_t>(written);
  if (length >= sizeof(chars))
    length = sizeof(chars) - 1;
}

} // namespace filigree::runtime

extern "C" uint32_t fil_version(void) { return FIL_VERSION; }

extern "C" size_t fil_status_text(const fil_status_word *word, char *buffer,
                                  size_t bytes) {
  int length = 0;
  if (!word || word->code == FIL_ABI_OK) {
    length = snprintf(buffer, bytes, "no bad entry was met");
  } else {
    const char *what = nullptr;
    switch (word->code) {
    case FIL_ABI_LIST_OUT_OF_ARRAY:
      what = "the block list's start and count leave its array of columns";
      break;
    case FIL_ABI_COLUMN_OUT_OF_RANGE:
      what = "the block list names a column outside the keys";
      break;
    case FIL_ABI_COLUMN_NOT_ASCENDING:
      what = "the block list's columns are not strictly ascending";
      break;
    case FIL_ABI_DOCUMENT_BOUNDS:
      what = "the document bounds are not ascending or leave the tokens";
      break;
    case FIL_ABI_ROW_OUT_OF_RANGE:
      what = "the rows to compute name one outside the queries";
      break;
    case FIL_ABI_PAGE_OUT_OF_RANGE:
      what = "the page table names a page outside the keys";
      break;
    case FIL_ABI_LENGTH_OUT_OF_RANGE:
      what = "the length of a sequence is negative or leaves its page table";
      break;
    }
    if (what)
      length = snprintf(buffer, bytes, "%s (at b = %d, h = %d, row %d, col %d)",
                        what, word->b, word->h, word->row, word->col);
    else
      length = snprintf(buffer, bytes,
                        "unknown status code %d (at b = %d, h = %d, row %d, "
                        "col %d)",
                        word->code, word->b, word->h, word->row, word->col);
  }
  return length < 0 ? 0 : static_cast<size_t>(length);
}
