// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace poseact {

// Solves the rectangular assignment problem: pairs each of the fewer side with one of the other so
// that the sum of costs is least (shortest augmenting paths, Jonker and Volgenant 1987).
// Keeps its scratch memory, so that repeated use allocates nothing. Not thread-safe.
class AssignmentSolver {
 public:
  // costs [rows, cols], finite. Writes each row's column, or -1, to `column` [rows].
  void solve(std::span<const double> costs, std::size_t rows, std::size_t cols,
             std::span<std::int32_t> column);

 private:
  void solve_wide(std::span<const double> costs, std::size_t rows, std::size_t cols);
  void augment(std::span<const double> costs, std::size_t row, std::size_t cols);

  std::vector<double> turned_;     // costs with rows and columns swapped
  std::vector<double> row_price_;  // dual variables
  std::vector<double> col_price_;
  std::vector<double> distance_;     // shortest reduced path to a column
  std::vector<std::size_t> row_of_;  // of a column; kNone: free
  std::vector<std::size_t> via_;     // the column before on the path
  std::vector<char> done_;
};

// Pairs rows with columns so that the sum of the weights of the chosen pairs is greatest; pairs
// that were not added cannot be chosen. Boxes of different people rarely overlap, so the pairs fall
// apart into small groups, each solved alone. Keeps its scratch memory. Not thread-safe.
class Matcher {
 public:
  void reset(std::size_t rows, std::size_t cols);

  // Rows in ascending order; weight > 0.
  void add(std::size_t row, std::size_t col, float weight);

  // Each row's column, or -1; valid until the next reset.
  std::span<const std::int32_t> solve();

 private:
  struct Pair {
    std::uint32_t row, col;
    float weight;
  };

  void take_lonely_pairs();
  void solve_groups();
  void solve_group(std::size_t first, std::size_t last);
  std::uint32_t root(std::uint32_t col);

  std::vector<Pair> pairs_;
  std::vector<Pair> crowded_;             // pairs that share a row or a column
  std::vector<std::uint32_t> row_count_;  // pairs of a row
  std::vector<std::uint32_t> col_count_;
  std::vector<std::uint32_t> parent_;                 // union-find over columns
  std::vector<std::uint32_t> rows_, cols_;            // members of the group being solved
  std::vector<std::uint32_t> local_row_, local_col_;  // their places in it
  std::vector<double> costs_;
  std::vector<std::int32_t> chosen_;
  std::vector<std::int32_t> column_;
  AssignmentSolver solver_;
};

}  // namespace poseact
