# Debian packages for tests: downloaded with what they depend on, and unpacked into a cache folder. Nothing is installed.

# packages NAME PACKAGE…: unpacks the packages and sets `tree` to the folder, and `libraries` to the folders of its libraries
# for LD_LIBRARY_PATH. They are those of this machine's release, so that their versions fit its C library.
packages() {
    local name=$1 home list
    shift
    for tool in apt-get dpkg; do
        command -v $tool >/dev/null || {
            echo "$tool is missing: the packages $* come from Debian or a system that is built upon it" >&2
            return 2
        }
    done
    home=${XDG_CACHE_HOME:-$HOME/.cache}/wse/$name
    tree=$home/tree
    list=$(cat /etc/os-release; echo "$@")
    if [ "$(cat "$home/list" 2>/dev/null)" != "$list" ]; then
        echo "unpacking $* into $home" >&2
        rm -rf "$home"
        mkdir -p "$home"/{state/lists/partial,cache/archives/partial}
        local options=(-qq -o "Dir::State=$home/state" -o Dir::State::status=/var/lib/dpkg/status
            -o "Dir::Cache=$home/cache" -o APT::Sandbox::User=root -o Debug::NoLocking=1)
        apt-get "${options[@]}" update || return 2
        apt-get "${options[@]}" --yes --no-install-recommends --reinstall --download-only install "$@" || {
            echo "the packages $* cannot be downloaded" >&2
            return 2
        }
        for package in "$home"/cache/archives/*.deb; do dpkg -x "$package" "$tree" || return 2; done
        rm -rf "$home/state" "$home/cache"
        echo "$list" >"$home/list"
    fi
    libraries=$(find "$tree" -name '*.so*' -not -path '*/nginx/*' -not -path '*/apache2/*' -printf '%h\n' |
        sort -u | paste -sd:)
}
