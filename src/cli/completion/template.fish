# fish completion of oncall. Made from the commands themselves when the package is built: do not edit.
#
# Live names come from files that oncall keeps. No process is started for them, and nothing of them is evaluated: whoever wrote
# those files, what is no plain name is left out, and so is a description that could steer the terminal.

#{tables}

# Says where oncall keeps its cache or config ($argv[1]) for a profile.
function __oncall_folder -a kind profile
    set -l xdg $XDG_CACHE_HOME
    set -l own .cache
    if test "$kind" = config
        set xdg $XDG_CONFIG_HOME
        set own .config
    end
    set -l folder
    if test -n "$ONCALL_HOME"
        string match -q '/*' -- "$ONCALL_HOME"; or return 1
        set folder "$ONCALL_HOME/$kind"
    else if string match -q '/*' -- "$xdg"
        set folder "$xdg/oncall"
    else if string match -q '/*' -- "$HOME"
        set folder "$HOME/$own/oncall"
    else
        return 1
    end
    if test -n "$profile" -a "$profile" != default
        string match -qr '^[a-z0-9][a-z0-9-]{0,39}$' -- "$profile"; or return 1
        set folder "$folder/profiles/$profile"
    end
    echo -- "$folder"
end

# Prints the rows of a list: a name, and behind a tab what it is.
function __oncall_names -a list profile
    set -l file (__oncall_folder cache "$profile")/complete/$list
    test -f "$file" -a -r "$file" -a -O "$file" -a ! -L "$file"; or return
    # Without its description, where that is not one to show.
    set -l row '^[A-Za-z0-9][A-Za-z0-9._@/+:-]{0,127}(?=\t|$)(?:\t[^\x00-\x1f\x7f-\x9f\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}\x{feff}]{0,240}(?=\t|$))?'
    switch $list
        case grants held requests approvals
            # They have an end. fish has no clock, but it knows how old a file is, and since when it is there.
            set -l now (math (path mtime -- $file) + (path mtime -R -- $file) 2>/dev/null)
            for line in (string match -r -- $row'(?:\t[1-9][0-9]{0,11}$)?' <$file 2>/dev/null)
                set -l parts (string split \t -- $line)
                if set -q parts[3]; and test -n "$now"
                    test $parts[3] -gt $now; or continue
                    set -l left (math "floor(($parts[3] - $now) / 60)")
                    if test $left -lt 60
                        set left $left"m left"
                    else
                        set left (math "floor($left / 60)")h(math $left % 60)"m left"
                    end
                    set parts[2] (string join ', ' -- (string match -r '.+' -- $parts[2]) $left)
                end
                string join \t -- $parts[1..2]
            end
        case '*'
            string match -r -- $row <$file 2>/dev/null
    end
end

function __oncall_profiles
    set -l folder (__oncall_folder config ''); or return
    string match -rg '/([a-z0-9][a-z0-9-]{0,39})/$' -- $folder/profiles/*/
end

# Prints what the words of an offer stand for.
function __oncall_offer -a profile cur
    for word in $argv[3..]
        switch $word
            case @roles
                # Only where one is being typed: there are several for each resource.
                string match -q '*:*' -- $cur; and __oncall_names roles "$profile"
            case @profiles
                __oncall_profiles
            case '@*'
                __oncall_names (string sub -s 2 -- $word) "$profile"
            case /f
                __fish_complete_path "$cur"
            case /d
                __fish_complete_directories "$cur" ''
            case '*'
                echo -- $word
        end
    end
end

function __oncall_complete
    set -l tokens (commandline -opc)
    set -l cur (commandline -ct)
    set -l profile $ONCALL_PROFILE
    set -l command ''
    set -l arguments 0
    set -l option
    # The first of what an option takes is = or ?.
    set -l takes
    set -l i 1
    for word in $tokens[2..]
        set i (math $i + 1)
        if set -q takes[1]; and not begin; test "$takes[1]" = '?'; and string match -q -- '-*' $word; end
            test "$option" = --profile; and set profile $word
            set takes
            continue
        end
        set takes
        switch $word
            case --
                test "$(__oncall_rest "$command")" = '!'; or return
                complete -C (string join ' ' -- (string escape -- $tokens[(math $i + 1)..]) "$cur")
                return
            case '--profile=*'
                set profile (string split -m 1 = -- $word)[2]
            case '--*=*'
            case '-*'
                set option $word
                set takes (__oncall_value "$command $word")
            case '*'
                set -l child
                test $arguments -eq 0; and set child (__oncall_child "$command/$word")
                if test -n "$child"
                    set command $child
                else
                    set arguments (math $arguments + 1)
                end
        end
    end
    if set -q takes[1]; and not begin; test "$takes[1]" = '?'; and string match -q -- '-*' $cur; end
        __oncall_offer "$profile" "$cur" $takes[2..]
    else if string match -q -- '--*=*' $cur
        set -l parts (string split -m 1 = -- $cur)
        set takes (__oncall_value "$command $parts[1]")
        __oncall_offer "$profile" "$parts[2]" $takes[2..] | string replace -r '^' -- "$parts[1]="
    else if string match -q -- '-*' $cur
        __oncall_options "$command"
    else
        test $arguments -eq 0; and __oncall_commands "$command"
        __oncall_offer "$profile" "$cur" (__oncall_argument "$command $arguments")
    end
end

complete -c oncall -e
complete -c oncall -f -a '(__oncall_complete)'
