// The worked example of libs/client/cache/examples.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include "gtest/gtest.h"
#include "libs/client/cache/examples/cached_search.h"
#include "libs/clock/clock.h"
#include "tests/harness/cache_server.h"

namespace slipstream::cache_client::examples {
namespace {

using testing_harness::CacheServer;

class VectorSearchTest : public testing::Test {
 protected:
  template <class T>
  T Await(Async<T> coroutine) {
    return boost::asio::co_spawn(server_.executor(), std::move(coroutine), boost::asio::use_future)
        .get();
  }
  // "id id ..." of the best two.
  std::string Search(std::vector<float> query) {
    const auto found = Await(search_.Search(CacheServer::As("search", "service"), query, 2));
    if (!found.ok()) return std::string(found.status().message());
    std::string out;
    for (const Match& match : *found) out += match.id + " ";
    return out;
  }
  absl::Status Reindex(std::vector<Document> documents) {
    return Await(search_.Reindex(CacheServer::As("search", "service"), std::move(documents)));
  }

  clock::SystemClock clock_;
  random::SystemRandom random_;
  CacheServer server_{clock_};
  CacheClient client_{server_.channel()};
  async::Scope scope_{server_.executor()};
  VectorIndex index_;
  CachedSearch search_{{client_, scope_, clock_, random_}, index_, "articles"};
};

TEST_F(VectorSearchTest, AnswersFromTheCacheUntilTheIndexIsBuiltAnew) {
  ASSERT_TRUE(Reindex({{"shoes", {1, 0}}, {"boots", {0.9f, 0.1f}}, {"hats", {0, 1}}}).ok());
  EXPECT_EQ(Search({1, 0}), "shoes boots ");
  EXPECT_EQ(Search({1, 0}), "shoes boots ");
  EXPECT_EQ(index_.searches_count(), 1) << "the second answer came from the cache";
  EXPECT_EQ(Search({0, 1}), "hats boots ");
  EXPECT_EQ(index_.searches_count(), 2);

  ASSERT_TRUE(Reindex({{"sandals", {1, 0}}, {"hats", {0, 1}}}).ok());
  EXPECT_EQ(Search({1, 0}), "sandals hats ");
  EXPECT_EQ(Search({0, 1}), "hats sandals ");
  EXPECT_EQ(index_.searches_count(), 4);
}

TEST_F(VectorSearchTest, WrongLengthsAreErrorsAndNotKept) {
  EXPECT_EQ(Search({1, 0}), "") << "an empty index";
  EXPECT_FALSE(Reindex({{"a", {1, 0}}, {"b", {1}}}).ok());
  ASSERT_TRUE(Reindex({{"a", {1, 0}}}).ok());
  EXPECT_EQ(Search({1, 0, 0}), "the query's vector has another length than the index's");
  EXPECT_EQ(Search({1, 0}), "a ");
}

TEST_F(VectorSearchTest, ValuesSurviveWritingAndReading) {
  const Matches matches = {{"a b", 0.5f}, {"c", -1.0f}};
  const auto parsed = Parse(Serialize(matches));
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(parsed->size(), 2u);
  EXPECT_EQ((*parsed)[0].id, "a b");
  EXPECT_EQ((*parsed)[1].score, -1.0f);
  EXPECT_FALSE(Parse("nonsense").ok());
}

}  // namespace
}  // namespace slipstream::cache_client::examples
