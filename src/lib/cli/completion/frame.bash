# bash completion for LXC's tools. Made from the tools' own tables of options: do not edit, see src/lib/cli/completion.rs.
# One file for all: each tool's name is a link to it in the directory of completions.

_lxc_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_lxc_files() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); }
_lxc_dirs() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); }

# Words parted by $1: the last one is completed.
_lxc_list() {
    local before="" i
    [[ $cur == *"$1"* ]] && before="${cur%"$1"*}$1"
    mapfile -t COMPREPLY < <(compgen -W "$2" -- "${cur##*"$1"}")
    for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=$before${COMPREPLY[i]}; done
    compopt -o nospace 2>/dev/null
}

# Containers, one a line: names may hold blanks.
_lxc_containers() {
    local name
    while IFS= read -r name; do
        [[ $name == "$cur"* ]] && COMPREPLY+=("$(printf %q "$name")")
    done < <(command lxc-ls -1 ${lxcpath:+-P "$lxcpath"} "$@" 2>/dev/null)
}
_lxc_names() { _lxc_containers ${which:+"$which"}; }
_lxc_running() { _lxc_containers --running; }

_lxc_states() { _lxc_list "|" "@STATES@"; }
_lxc_namespaces() { _lxc_list "|" "MOUNT PID UTSNAME IPC USER NETWORK CGROUP TIME"; }
_lxc_privileges() { _lxc_list "|" "CAP CGROUP LSM"; }
_lxc_columns() { _lxc_list "," "NAME STATE PID RAM SWAP AUTOSTART GROUPS INTERFACE IPV4 IPV6 UNPRIVILEGED"; }
_lxc_levels() { _lxc_words "@LEVELS@"; }
_lxc_arches() { _lxc_words "@ARCHES@"; }
_lxc_storage() { _lxc_words "@STORAGE@"; }
_lxc_formats() { _lxc_words "json"; }
_lxc_keys() { _lxc_words "@KEYS@"; }
_lxc_definitions() {
    [[ $cur == *=* ]] && return
    _lxc_keys
    COMPREPLY=("${COMPREPLY[@]/%/=}")
    compopt -o nospace 2>/dev/null
}
_lxc_groups() {
    _lxc_list "," "$(command lxc-ls -f -F GROUPS ${lxcpath:+-P "$lxcpath"} 2>/dev/null | tail -n +2 | tr -d ',-')"
}
_lxc_templates() {
    local file words=none
    for file in "${LXC_TEMPLATE_DIR:-/usr/share/lxc/templates}"/lxc-*; do
        [[ -x $file ]] && words+=" ${file##*/lxc-}"
    done
    _lxc_words "$words"
}

_lxc() {
    local cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]} tool=${COMP_WORDS[0]##*/}
    local options="" which="" how="" lxcpath="" named="" i
    COMPREPLY=()
    # `--option=value` comes as three words where = parts words.
    if [[ $cur == = ]]; then
        cur=""
    elif [[ $option == = ]]; then
        option=${COMP_WORDS[COMP_CWORD-2]}
        local glued=1
    elif [[ $cur == --*=* ]]; then
        option=${cur%%=*} cur=${cur#*=}
        local glued=1
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --) return;;
        -P|--lxcpath) lxcpath=${COMP_WORDS[i+1]}; [[ $lxcpath == = ]] && lxcpath=${COMP_WORDS[i+2]}; ((i++));;
        -n|--name) named=1; ((i++));;
        -*) ;;
        *) [[ ${COMP_WORDS[i-1]} == -* ]] || named=1;;
        esac
    done
    # An optional argument is one only when it is glued on.
    [[ -n ${glued-} ]] && case $tool$option in
        lxc-attach--elevated-privileges|lxc-ls--nesting) option=$option=;;
    esac
    case $tool in
@CASES@
    lxc-config) _lxc_words "-l --format=json --help --version @GLOBAL@"; return;;
    lxc-checkconfig) _lxc_words "--format=json --help --version"; return;;
    lxc-update-config)
        case $option in -c|--config) _lxc_files;; *) _lxc_words "-c --config --help --version";; esac
        return;;
    esac
    if [[ -n $how ]]; then
        $how
    elif [[ $cur == -* ]]; then
        _lxc_words "$options"
    elif [[ -z $named && $tool != lxc-ls && $tool != lxc-create ]]; then
        _lxc_names
    fi
}

complete -F _lxc @TOOLS@ lxc-config lxc-checkconfig lxc-update-config
