/// What a vendor's CLI needs so that it calls the pool in the name of one of its users: credentials, variables and
/// settings as plain values. Provider::client_setup() makes it; whoever writes scripts and pages from it names no
/// vendor.
#pragma once

#include "shared/base/units.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace shared {

/// Who is to be set up, and where the pool is.
struct ClientSetupFacts {
    std::string base_url; ///< of the pool, without '/' at its end; a plain URL, safe inside quotes
    std::string user;     ///< its id
    std::uint32_t generation = 1; ///< of its keys
    std::string email;            ///< may be empty
    std::string plan = "pro";     ///< what the CLI is told, where it asks
    UnixMillis now;
    bool local =
        false; ///< on the pool's own machine: any credential will do, and an existing sign-in is kept
};

/// An environment variable.
struct ClientVariable {
    std::string name;
    std::string value;
    bool secret = false; ///< reaches the client by /config only, never in a script
};

/// One value in a settings file of the CLI's.
struct ClientSetting {
    std::string path;     ///< keys joined by dots; no key has a dot itself
    std::string value;    ///< as it stands in the file: a TOML or JSON string, number or boolean
    std::string variable; ///< instead of `value`: the variable whose value it is
};

/// A file below the user's home folder.
struct ClientFile {
    enum class Kind : std::uint8_t {
        document, ///< is ClientSetup::document
        toml,     ///< gets `settings`; everything else in it stays
        json,     ///< the same
    };

    Kind kind = Kind::document;
    std::string folder_variable; ///< names another folder in place of `folder` if it is set
    std::string folder;          ///< below the home folder; "." is the home folder itself
    std::string name;
    bool keep_existing = false; ///< a file that is there is left alone
    std::string
        mark; ///< a text by which a document made here is known again after the CLI has rewritten it
    std::vector<ClientSetting> settings;
};

/// Access by any program that speaks the vendor's API.
struct ClientApi {
    std::string label; ///< "Any OpenAI client"
    std::string base_url;
    std::string key;
    std::vector<ClientVariable> variables; ///< as such programs know them
};

/// What a CLI gets that renews its own tokens at the pool.
struct ClientTokens {
    std::string access;
    std::string id;
    std::string refresh;
    std::chrono::seconds last{0}; ///< so long
};

struct ClientSetup {
    std::string document; ///< JSON, what /config/<cli>/<token> answers; holds credentials
    std::vector<ClientVariable> variables;
    std::vector<std::string> unset; ///< variables that would lead the CLI elsewhere
    std::vector<ClientFile> files;
    std::vector<std::string> notes; ///< sentences for whoever is set up
    std::string install;            ///< the command that installs the CLI
    std::string try_it;             ///< a command that shows that it works
    ClientApi api;
    /// What a claim's answer calls this CLI's credentials.
    std::vector<std::pair<std::string, std::string>> claim_fields;
};

} // namespace shared
