/// Requests, responses and recordings for the tests of providers: heads are parsed from real bytes by the real parser.
#pragma once

#include "shared/http/head.hpp"
#include "shared/providers/provider.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

namespace shared::testing {

using FieldList = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// A parsed request head that owns its bytes. Neither copied nor moved: the head points into them.
class Request {
public:
    Request(std::string_view method, std::string_view target, FieldList fields = {})
    {
        bytes_ = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: pool\r\n";
        for (const auto& [name, value] : fields)
            bytes_ += std::string(name) + ": " + std::string(value) + "\r\n";
        bytes_ += "\r\n";
        EXPECT_EQ(http::parse_request(bytes_, head_), http::ParseStatus::complete) << bytes_;
    }

    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;

    operator const http::RequestHead&() const { return head_; }

    const http::RequestHead& head() const { return head_; }

private:
    std::string bytes_;
    http::RequestHead head_;
};

/// A parsed response head that owns its bytes, and the body behind it.
class Response {
public:
    /// From a status and fields.
    explicit Response(unsigned status, FieldList fields = {})
    {
        bytes_ = "HTTP/1.1 " + std::to_string(status) + " Status\r\n";
        for (const auto& [name, value] : fields)
            bytes_ += std::string(name) + ": " + std::string(value) + "\r\n";
        bytes_ += "\r\n";
        parse();
    }

    /// From a recording: tests/shared/providers/recordings/<name>. Lines before the empty one end in LF there.
    static Response recorded(const std::string& name)
    {
        const std::string path =
            std::string(CODEX_POOL_SOURCE_DIR "/tests/shared/providers/recordings/") + name;
        std::ifstream file(path, std::ios::binary);
        EXPECT_TRUE(file.good()) << path;
        std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        return Response(text);
    }

    Response(const Response&) = delete;
    Response& operator=(const Response&) = delete;

    operator const http::ResponseHead&() const { return head_; }

    const http::ResponseHead& head() const { return head_; }

    const std::string& body() const { return body_; }

private:
    explicit Response(const std::string& text)
    {
        const std::size_t end = text.find("\n\n");
        for (const char c : text.substr(0, end)) {
            if (c == '\n') bytes_ += '\r';
            bytes_ += c;
        }
        bytes_ += "\r\n\r\n";
        body_ = end == std::string::npos ? "" : text.substr(end + 2);
        parse();
    }

    void parse()
    {
        EXPECT_EQ(http::parse_response(bytes_, "POST", head_), http::ParseStatus::complete)
            << bytes_;
    }

    std::string bytes_;
    std::string body_;
    http::ResponseHead head_;
};

} // namespace shared::testing
