// SPDX-License-Identifier: Apache-2.0
#include "track/assignment.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace poseact {
namespace {

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
constexpr std::uint32_t kUnplaced = std::numeric_limits<std::uint32_t>::max();
constexpr double kFar = std::numeric_limits<double>::infinity();

}  // namespace

void AssignmentSolver::solve(std::span<const double> costs, std::size_t rows, std::size_t cols,
                             std::span<std::int32_t> column) {
  std::ranges::fill(column, -1);
  if (rows == 0 || cols == 0) return;
  if (rows <= cols) {
    solve_wide(costs, rows, cols);
    for (std::size_t c = 0; c < cols; ++c) {
      if (row_of_[c] != kNone) column[row_of_[c]] = static_cast<std::int32_t>(c);
    }
    return;
  }
  turned_.resize(rows * cols);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < cols; ++c) turned_[c * rows + r] = costs[r * cols + c];
  }
  solve_wide(turned_, cols, rows);
  for (std::size_t r = 0; r < rows; ++r) {
    if (row_of_[r] != kNone) column[r] = static_cast<std::int32_t>(row_of_[r]);
  }
}

void AssignmentSolver::solve_wide(std::span<const double> costs, std::size_t rows,
                                  std::size_t cols) {
  row_price_.assign(rows, 0.0);
  col_price_.assign(cols, 0.0);
  row_of_.assign(cols, kNone);
  for (std::size_t r = 0; r < rows; ++r) augment(costs, r, cols);
}

// Dijkstra over reduced costs from `row` to the nearest free column; the prices then move so that
// every reduced cost stays 0 or more and 0 on the pairs chosen.
void AssignmentSolver::augment(std::span<const double> costs, std::size_t row, std::size_t cols) {
  distance_.assign(cols, kFar);
  via_.assign(cols, kNone);
  done_.assign(cols, 0);
  std::size_t at = row;
  std::size_t from = kNone;
  double reached = 0.0;
  while (true) {
    std::size_t next = kNone;
    for (std::size_t c = 0; c < cols; ++c) {
      if (done_[c] != 0) continue;
      const double length = reached + costs[at * cols + c] - row_price_[at] - col_price_[c];
      if (length < distance_[c]) {
        distance_[c] = length;
        via_[c] = from;
      }
      if (next == kNone || distance_[c] < distance_[next]) next = c;
    }
    reached = distance_[next];
    done_[next] = 1;
    from = next;
    if (row_of_[next] == kNone) break;
    at = row_of_[next];
  }
  row_price_[row] += reached;
  for (std::size_t c = 0; c < cols; ++c) {
    if (done_[c] == 0 || c == from) continue;
    row_price_[row_of_[c]] += reached - distance_[c];
    col_price_[c] -= reached - distance_[c];
  }
  for (std::size_t c = from; c != kNone; c = via_[c]) {
    row_of_[c] = via_[c] == kNone ? row : row_of_[via_[c]];
  }
}

void Matcher::reset(std::size_t rows, std::size_t cols) {
  pairs_.clear();
  row_count_.assign(rows, 0);
  col_count_.assign(cols, 0);
  column_.assign(rows, -1);
}

void Matcher::add(std::size_t row, std::size_t col, float weight) {
  pairs_.push_back({static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(col), weight});
  ++row_count_[row];
  ++col_count_[col];
}

std::span<const std::int32_t> Matcher::solve() {
  take_lonely_pairs();
  if (!crowded_.empty()) solve_groups();
  return column_;
}

void Matcher::take_lonely_pairs() {
  crowded_.clear();
  for (const Pair& pair : pairs_) {
    if (row_count_[pair.row] == 1 && col_count_[pair.col] == 1) {
      column_[pair.row] = static_cast<std::int32_t>(pair.col);
    } else {
      crowded_.push_back(pair);
    }
  }
}

std::uint32_t Matcher::root(std::uint32_t col) {
  while (parent_[col] != col) {
    parent_[col] = parent_[parent_[col]];
    col = parent_[col];
  }
  return col;
}

void Matcher::solve_groups() {
  parent_.resize(col_count_.size());
  for (std::uint32_t c = 0; c < parent_.size(); ++c) parent_[c] = c;
  for (std::size_t i = 1; i < crowded_.size(); ++i) {
    if (crowded_[i].row == crowded_[i - 1].row) {
      parent_[root(crowded_[i].col)] = root(crowded_[i - 1].col);
    }
  }
  local_row_.assign(row_count_.size(), kUnplaced);
  local_col_.assign(col_count_.size(), kUnplaced);
  // std::sort works in place; ties in (group, row, col) do not exist, so the order is defined.
  std::ranges::sort(crowded_, [&](const Pair& a, const Pair& b) {
    const auto key = [&](const Pair& p) { return std::tuple(root(p.col), p.row, p.col); };
    return key(a) < key(b);
  });
  std::size_t first = 0;
  for (std::size_t i = 1; i <= crowded_.size(); ++i) {
    if (i < crowded_.size() && root(crowded_[i].col) == root(crowded_[first].col)) continue;
    solve_group(first, i);
    first = i;
  }
}

// A pair that was not added costs 0, as much as staying alone; it is taken out afterwards.
void Matcher::solve_group(std::size_t first, std::size_t last) {
  rows_.clear();
  cols_.clear();
  for (std::size_t i = first; i < last; ++i) {
    const Pair& pair = crowded_[i];
    if (local_row_[pair.row] == kUnplaced) {
      local_row_[pair.row] = static_cast<std::uint32_t>(rows_.size());
      rows_.push_back(pair.row);
    }
    if (local_col_[pair.col] == kUnplaced) {
      local_col_[pair.col] = static_cast<std::uint32_t>(cols_.size());
      cols_.push_back(pair.col);
    }
  }
  costs_.assign(rows_.size() * cols_.size(), 0.0);
  for (std::size_t i = first; i < last; ++i) {
    const Pair& pair = crowded_[i];
    costs_[local_row_[pair.row] * cols_.size() + local_col_[pair.col]] = -double{pair.weight};
  }
  chosen_.resize(rows_.size());
  solver_.solve(costs_, rows_.size(), cols_.size(), chosen_);
  for (std::size_t r = 0; r < rows_.size(); ++r) {
    const std::int32_t c = chosen_[r];
    if (c < 0 || costs_[r * cols_.size() + static_cast<std::size_t>(c)] >= 0.0) continue;
    column_[rows_[r]] = static_cast<std::int32_t>(cols_[static_cast<std::size_t>(c)]);
  }
}

}  // namespace poseact
