// SPDX-License-Identifier: Apache-2.0
#include "track/assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace poseact {
namespace {

// The least cost over all ways to pair, tried one by one; rows <= cols.
double best_by_trial(const std::vector<double>& costs, std::size_t rows, std::size_t cols) {
  std::vector<std::size_t> order(cols);
  std::iota(order.begin(), order.end(), 0U);
  double best = 1e300;
  do {
    double sum = 0.0;
    for (std::size_t r = 0; r < rows; ++r) sum += costs[r * cols + order[r]];
    best = std::min(best, sum);
  } while (std::ranges::next_permutation(order).found);
  return best;
}

TEST(AssignmentSolver, FindsTheLeastCost) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> value(-4, 4);  // few values: many ties
  AssignmentSolver solver;
  for (int trial = 0; trial < 200; ++trial) {
    const std::size_t rows = 1 + random() % 5;
    const std::size_t cols = rows + random() % (7 - rows);
    std::vector<double> costs(rows * cols);
    for (double& c : costs) c = value(random);
    std::vector<std::int32_t> column(rows);
    solver.solve(costs, rows, cols, column);
    double sum = 0.0;
    std::vector<int> used(cols, 0);
    for (std::size_t r = 0; r < rows; ++r) {
      ASSERT_GE(column[r], 0);
      const auto c = static_cast<std::size_t>(column[r]);
      ++used[c];
      sum += costs[r * cols + c];
    }
    EXPECT_LE(*std::ranges::max_element(used), 1);
    EXPECT_DOUBLE_EQ(sum, best_by_trial(costs, rows, cols));
  }
}

TEST(AssignmentSolver, MoreRowsThanColumnsLeavesRowsAlone) {
  AssignmentSolver solver;
  std::vector<std::int32_t> column(3);
  solver.solve(std::vector<double>{5, 1, 3}, 3, 1, column);
  EXPECT_EQ(column, (std::vector<std::int32_t>{-1, 0, -1}));
  solver.solve({}, 3, 0, column);
  EXPECT_EQ(column, (std::vector<std::int32_t>{-1, -1, -1}));
}

std::vector<std::int32_t> solved(Matcher& matcher) {
  const auto column = matcher.solve();
  return {column.begin(), column.end()};
}

TEST(Matcher, TakesTheGreatestSumNotTheGreatestPair) {
  Matcher matcher;
  matcher.reset(2, 2);
  matcher.add(0, 0, 0.9F);  // greedy would take this and leave row 1 alone
  matcher.add(0, 1, 0.8F);
  matcher.add(1, 0, 0.7F);
  EXPECT_EQ(solved(matcher), (std::vector<std::int32_t>{1, 0}));
}

TEST(Matcher, OneStrongPairBeatsTwoFaintOnes) {
  Matcher matcher;
  matcher.reset(2, 2);
  matcher.add(0, 0, 0.9F);
  matcher.add(0, 1, 0.1F);
  matcher.add(1, 0, 0.1F);
  EXPECT_EQ(solved(matcher), (std::vector<std::int32_t>{0, -1}));
}

// The greatest sum of weights with row `r` and later rows, each column at most once; 0: no pair.
float greatest(const std::vector<float>& weights, std::size_t cols, std::size_t r, unsigned used) {
  if (r * cols == weights.size()) return 0.0F;
  float best = greatest(weights, cols, r + 1, used);
  for (std::size_t c = 0; c < cols; ++c) {
    const float weight = weights[r * cols + c];
    if (weight == 0.0F || (used >> c & 1U) != 0) continue;
    best = std::max(best, weight + greatest(weights, cols, r + 1, used | 1U << c));
  }
  return best;
}

TEST(Matcher, EqualsTrialOfAllPairings) {
  std::mt19937 random(2);
  Matcher matcher;  // one object for all trials: nothing may be left over from the one before
  for (int trial = 0; trial < 300; ++trial) {
    const std::size_t rows = random() % 6;
    const std::size_t cols = random() % 6;
    std::vector<float> weights(rows * cols, 0.0F);
    matcher.reset(rows, cols);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (random() % 3 != 0) continue;
      weights[i] = static_cast<float>(1 + random() % 8) / 8.0F;
      matcher.add(i / cols, i % cols, weights[i]);
    }
    const auto column = solved(matcher);
    float sum = 0.0F;
    unsigned used = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      if (column[r] < 0) continue;
      const auto c = static_cast<std::size_t>(column[r]);
      ASSERT_GT(weights[r * cols + c], 0.0F) << "a pair that was never added";
      ASSERT_EQ(used >> c & 1U, 0U) << "a column used twice";
      used |= 1U << c;
      sum += weights[r * cols + c];
    }
    EXPECT_FLOAT_EQ(sum, greatest(weights, cols, 0, 0));
  }
}

}  // namespace
}  // namespace poseact
