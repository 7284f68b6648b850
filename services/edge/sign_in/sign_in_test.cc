#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "libs/clock/fake_clock.h"
#include "libs/random/random.h"
#include "libs/status/status.h"
#include "services/edge/sign_in/connection_limits.h"
#include "services/edge/sign_in/session_cookie.h"
#include "services/edge/sign_in/ticket_store.h"

namespace slipstream::edge {
namespace {

class SignInTest : public ::testing::Test {
 protected:
  clock::FakeClock clock_;
  random::SeededRandom random_{7};
};

TEST_F(SignInTest, ATicketCountsOnce) {
  TicketStore tickets(clock_, random_);
  const auto ticket = tickets.Issue("alice", "token");
  ASSERT_TRUE(ticket.ok());
  EXPECT_GE(ticket->size(), 43u);
  EXPECT_EQ(tickets.Redeem(*ticket), "token");
  EXPECT_FALSE(tickets.Redeem(*ticket));
  EXPECT_FALSE(tickets.Redeem(""));
}

TEST_F(SignInTest, ATicketExpires) {
  TicketStore tickets(clock_, random_);
  const auto ticket = tickets.Issue("alice", "token");
  clock_.Advance(TicketStore::kLifetime);
  EXPECT_FALSE(tickets.Redeem(*ticket));
}

TEST_F(SignInTest, AUserHasSoManyTicketsAndOthersTheirOwn) {
  TicketStore tickets(clock_, random_);
  std::vector<std::string> all;
  for (int i = 0; i < TicketStore::kMaxPerUserCount; ++i) {
    all.push_back(*tickets.Issue("alice", "token"));
  }
  EXPECT_EQ(status::Reason(tickets.Issue("alice", "token").status()), "TOO_MANY_TICKETS");
  EXPECT_TRUE(tickets.Issue("bob", "token").ok());
  EXPECT_TRUE(tickets.Redeem(all.front()));
  EXPECT_TRUE(tickets.Issue("alice", "token").ok());
  clock_.Advance(TicketStore::kLifetime);
  EXPECT_TRUE(tickets.Issue("alice", "token").ok());
}

ConnectionLimitOptions Small() {
  return {.max_user_connections_count = 2,
          .max_address_connections_count = 3,
          .max_address_handshakes_per_minute_count = 5,
          .max_address_failed_sign_ins_per_minute_count = 2};
}

TEST_F(SignInTest, ConnectionsOfAnAddressAreBoundedFromAcceptOn) {
  ConnectionLimits limits(Small(), clock_);
  auto one = limits.Arrive("10.0.0.1");
  auto two = limits.Arrive("10.0.0.1");
  auto three = limits.Arrive("10.0.0.1");
  ASSERT_TRUE(one.ok() && two.ok() && three.ok());
  EXPECT_EQ(status::Reason(limits.Arrive("10.0.0.1").status()), "TOO_MANY_CONNECTIONS");
  EXPECT_TRUE(limits.Arrive("10.0.0.2").ok());
  // What a connection becomes does not count it again.
  EXPECT_TRUE(limits.Enter("10.0.0.1").ok());
  two->Leave();
  auto four = limits.Arrive("10.0.0.1");
  EXPECT_TRUE(four.ok());
  EXPECT_FALSE(limits.Arrive("10.0.0.1").ok());
}

TEST_F(SignInTest, BehindProxiesConnectionsForEventsCountByTheClientsAddress) {
  ConnectionLimitOptions options = Small();
  options.behind_proxies = true;
  options.max_address_handshakes_per_minute_count = 100;
  ConnectionLimits limits(options, clock_);
  std::vector<ConnectionLimits::Place> proxy;
  for (int i = 0; i < 10; ++i) {
    auto place = limits.Arrive("192.168.0.1");
    ASSERT_TRUE(place.ok());
    proxy.push_back(*std::move(place));
  }
  auto one = limits.Enter("10.0.0.1");
  auto two = limits.Enter("10.0.0.1");
  auto three = limits.Enter("10.0.0.1");
  ASSERT_TRUE(one.ok() && two.ok() && three.ok());
  EXPECT_EQ(status::Reason(limits.Enter("10.0.0.1").status()), "TOO_MANY_CONNECTIONS");
  EXPECT_TRUE(limits.Enter("10.0.0.2").ok());
  two->Leave();
  EXPECT_TRUE(limits.Enter("10.0.0.1").ok());
}

TEST_F(SignInTest, AnAddressThatGoesOnThoughRefusedIsNotListenedTo) {
  ConnectionLimits limits(Small(), clock_);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limits.Enter("10.0.0.1").ok());
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(limits.Arrive("10.0.0.1").ok()) << i;
    EXPECT_FALSE(limits.Enter("10.0.0.1").ok());
  }
  EXPECT_TRUE(absl::IsAborted(limits.Arrive("10.0.0.1").status()));
  EXPECT_TRUE(limits.Arrive("10.0.0.2").ok());
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(limits.Arrive("10.0.0.1").ok());
}

TEST_F(SignInTest, ConnectionsThatGoOnThoughRefusedAreNotAnsweredAnyMore) {
  ConnectionLimits limits(Small(), clock_);
  std::vector<ConnectionLimits::Place> places;
  for (int i = 0; i < 3; ++i) places.push_back(*limits.Arrive("10.0.0.1"));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(status::Reason(limits.Arrive("10.0.0.1").status()), "TOO_MANY_CONNECTIONS");
  }
  EXPECT_TRUE(absl::IsAborted(limits.Arrive("10.0.0.1").status()));
  places.clear();
  EXPECT_TRUE(absl::IsAborted(limits.Arrive("10.0.0.1").status())) << "until the minute is over";
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(limits.Arrive("10.0.0.1").ok());
}

TEST_F(SignInTest, SignInsThatGoOnThoughRefusedCountToo) {
  ConnectionLimits limits(Small(), clock_);
  for (int i = 0; i < 2; ++i) limits.CountFailedSignIn("10.0.0.1");
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(limits.Admit("10.0.0.1").ok());
  EXPECT_FALSE(limits.Arrive("10.0.0.1").ok());
}

TEST_F(SignInTest, ConnectionsOfAUserAreBoundedWhereverTheyComeFrom) {
  ConnectionLimits limits(Small(), clock_);
  auto one = limits.Enter("10.0.0.1");
  auto two = limits.Enter("10.0.0.2");
  auto three = limits.Enter("10.0.0.3");
  EXPECT_TRUE(one->SignIn("alice").ok());
  EXPECT_TRUE(two->SignIn("alice").ok());
  EXPECT_EQ(status::Reason(three->SignIn("alice")), "TOO_MANY_CONNECTIONS");
  EXPECT_TRUE(three->SignIn("bob").ok());
  one->Leave();
  auto four = limits.Enter("10.0.0.3");
  EXPECT_TRUE(four->SignIn("alice").ok());
}

TEST_F(SignInTest, HandshakesAreBoundedAtOnceAndOverTheMinute) {
  ConnectionLimits limits(Small(), clock_);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limits.Enter("10.0.0.1").ok());
  const absl::Status refused = limits.Enter("10.0.0.1").status();
  EXPECT_EQ(status::Reason(refused), "TOO_MANY_HANDSHAKES");
  EXPECT_EQ(status::RetryAfter(refused), absl::Seconds(12));
  EXPECT_TRUE(limits.Enter("10.0.0.2").ok());
  int in_a_minute = 0;
  for (int second = 0; second < 60; ++second) {
    clock_.Advance(absl::Seconds(1));
    while (limits.Enter("10.0.0.1").ok()) ++in_a_minute;
  }
  EXPECT_EQ(in_a_minute, 5);
  clock_.Advance(absl::Hours(1));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limits.Enter("10.0.0.1").ok());
  EXPECT_FALSE(limits.Enter("10.0.0.1").ok()) << "no more at once, however long it waited";
}

TEST_F(SignInTest, FailedSignInsOfAMinuteAreBounded) {
  ConnectionLimits limits(Small(), clock_);
  auto place = limits.Enter("10.0.0.1");
  place->CountFailedSignIn();
  EXPECT_TRUE(limits.Admit("10.0.0.1").ok());
  limits.CountFailedSignIn("10.0.0.1");
  EXPECT_EQ(status::Reason(limits.Admit("10.0.0.1")), "TOO_MANY_FAILED_SIGN_INS");
  EXPECT_EQ(status::Reason(limits.Enter("10.0.0.1").status()), "TOO_MANY_FAILED_SIGN_INS");
  place->Leave();
  EXPECT_FALSE(limits.Admit("10.0.0.1").ok()) << "leaving must not clear it";
  EXPECT_TRUE(limits.Admit("10.0.0.2").ok());
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(limits.Enter("10.0.0.1").ok());
}

TEST(AddressKeyTest, OneClientOneKey) {
  EXPECT_EQ(AddressKey("10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(AddressKey("::ffff:10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(AddressKey("2001:db8:1:2::1"), AddressKey("2001:db8:1:2:ffff::9"));
  EXPECT_NE(AddressKey("2001:db8:1:2::1"), AddressKey("2001:db8:1:3::1"));
}

TEST(ClientAddressTest, OnlyTheProxiesThatAreThereAreBelieved) {
  EXPECT_EQ(ClientAddress("10.0.0.1", "1.1.1.1", 0), "10.0.0.1");
  EXPECT_EQ(ClientAddress("10.0.0.1", "6.6.6.6, 1.1.1.1", 1), "1.1.1.1");
  EXPECT_EQ(ClientAddress("10.0.0.1", "6.6.6.6, 1.1.1.1, 2.2.2.2", 2), "1.1.1.1");
  EXPECT_EQ(ClientAddress("10.0.0.1", "1.1.1.1", 2), "10.0.0.1");
  EXPECT_EQ(ClientAddress("10.0.0.1", "", 1), "10.0.0.1");
}

TEST(SessionCookieTest, ScriptsAndOtherSitesCannotUseIt) {
  const std::string cookie = SessionCookie("a.b.c", absl::Seconds(90), /*secure=*/true);
  EXPECT_EQ(cookie,
            "slipstream_session=a.b.c; Path=/; Max-Age=90; HttpOnly; SameSite=Strict; Secure");
  EXPECT_EQ(SessionCookie("", -absl::Seconds(5), false),
            "slipstream_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
}

TEST(SessionCookieTest, IsFoundAmongOthers) {
  EXPECT_EQ(SessionToken("slipstream_session=a.b.c"), "a.b.c");
  EXPECT_EQ(SessionToken("x=1; slipstream_session=a.b.c; y=2"), "a.b.c");
  EXPECT_EQ(SessionToken("x=slipstream_session=a.b.c"), "");
  EXPECT_EQ(SessionToken("xslipstream_session=a.b.c"), "");
  EXPECT_EQ(SessionToken(""), "");
}

}  // namespace
}  // namespace slipstream::edge
