//===- StatusTest.cpp - sentences, and memory they are written to ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/Status.h"

#include "TestSupport.h"

using namespace filigree::runtime;

static std::string textOf(fil_status_word word) {
  char buffer[256];
  size_t length = fil_status_text(&word, buffer, sizeof(buffer));
  EXPECT_EQ(length, std::string(buffer).size());
  return buffer;
}

TEST(Status, wordsHaveSentences) {
  EXPECT_EQ(textOf({0, 1, 2, 3, 4}), "no bad entry was met");
  EXPECT_EQ(textOf({1, 0, 1, 2, 3}),
            "the block list's start and count leave its array of columns "
            "(at b = 0, h = 1, row 2, col 3)");
  EXPECT_EQ(textOf({2, 0, 1, 2, -3}),
            "the block list names a column outside the keys "
            "(at b = 0, h = 1, row 2, col -3)");
  EXPECT_EQ(textOf({3, 0, 1, 2, 3}),
            "the block list's columns are not strictly ascending "
            "(at b = 0, h = 1, row 2, col 3)");
  EXPECT_EQ(textOf({4, 0, 0, 2, 0}),
            "the document bounds are not ascending or leave the tokens "
            "(at b = 0, h = 0, row 2, col 0)");
  EXPECT_EQ(textOf({5, 0, 1, 2, 0}),
            "the rows to compute name one outside the queries "
            "(at b = 0, h = 1, row 2, col 0)");
  EXPECT_EQ(textOf({6, 1, 2, 3, 99}),
            "the page table names a page outside the keys "
            "(at b = 1, h = 2, row 3, col 99)");
  EXPECT_EQ(textOf({7, 1, 0, 0, -5}),
            "the length of a sequence is negative or leaves its page table "
            "(at b = 1, h = 0, row 0, col -5)");
  EXPECT_EQ(textOf({77, 0, 0, 2, 0}),
            "unknown status code 77 (at b = 0, h = 0, row 2, col 0)");
}

TEST(Status, textFitsItsBuffer) {
  fil_status_word word = {2, 0, 0, 0, 0};
  char buffer[8] = "zzzzzzz";
  size_t whole = fil_status_text(&word, nullptr, 0);
  EXPECT_EQ(fil_status_text(&word, buffer, 5), whole);
  EXPECT_STREQ(buffer, "the ");
  EXPECT_EQ(buffer[5], 'z');
  EXPECT_GT(fil_status_text(nullptr, buffer, sizeof(buffer)), 0u);
}

TEST(Status, errorOfOlderHeaderIsNotOverrun) {
  fil_error err = FIL_ERROR_INIT;
  err.size = offsetof(fil_error, message) + 4;
  err.message[4] = 'z';
  EXPECT_EQ(fail(&err, FIL_BAD_CALL, "expected %s", "this"), FIL_BAD_CALL);
  EXPECT_STREQ(err.message, "exp");
  EXPECT_EQ(err.message[4], 'z');
}

TEST(Status, errorWithoutSizeIsLeftAlone) {
  fil_error err = FIL_ERROR_INIT;
  err.size = 0;
  EXPECT_EQ(fail(&err, FIL_BAD_CALL, "expected"), FIL_BAD_CALL);
  EXPECT_EQ(err.code, FIL_OK);
  EXPECT_EQ(fail(nullptr, FIL_BAD_CALL, "expected"), FIL_BAD_CALL);
  EXPECT_EQ(succeed(nullptr), FIL_OK);
}

TEST(Status, longSentencesAreCut) {
  fil_error err = FIL_ERROR_INIT;
  fail(&err, FIL_BAD_CALL, "%s", std::string(2000, 'x').c_str());
  EXPECT_EQ(std::string(err.message), std::string(511, 'x'));
  Text text;
  for (int i = 0; i < 100; ++i)
    text.append("%s", "0123456789");
  EXPECT_EQ(std::string(text.str()).size(), 255u);
}
