# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sealift_global_optspecs
    string join \n profile= server= json q/quiet h/help V/version
end

function __fish_sealift_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sealift_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sealift_using_subcommand
    set -l cmd (__fish_sealift_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sealift -n "__fish_sealift_needs_command" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_needs_command" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_needs_command" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_needs_command" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_needs_command" -s V -l version -d 'Print version'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "join" -d 'Join a server with a token from its administrator'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "put" -d 'Store files and directories on the server'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "upload" -d 'Store files and directories on the server'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "get" -d 'Fetch files and directories from the server'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "download" -d 'Fetch files and directories from the server'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "sync" -d 'Make a directory equal to another one, on the server or here'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "ls" -d 'List a directory'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "list" -d 'List a directory'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "info" -d 'Show what the server knows about paths'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "stat" -d 'Show what the server knows about paths'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "rm" -d 'Delete files and directories on the server'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "delete" -d 'Delete files and directories on the server'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "mv" -d 'Move or rename a file or a directory on the server'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "cp" -d 'Copy a file or a directory on the server'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "log" -d 'Show the transfer log, newest first'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "whoami" -d 'Show who you are on the server, and what you may do there'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "renew" -d 'Renew this computer\'s certificate now'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "profile" -d 'List, select, rename and remove the saved profiles'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "clean" -d 'Remove what interrupted downloads left on this computer'
complete -c sealift -n "__fish_sealift_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sealift -n "__fish_sealift_using_subcommand join" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand join" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand join" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand join" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand join" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand put" -l stdin-from-command -d 'Run the command behind --, and store what it prints as DEST if it succeeds' -r
complete -c sealift -n "__fish_sealift_using_subcommand put" -l exclude -d 'Leave out what matches a pattern, as in a .gitignore at the top of the tree; may be repeated' -r
complete -c sealift -n "__fish_sealift_using_subcommand put" -l include -d 'Bring back what matches, although an --exclude leaves it out; may be repeated' -r
complete -c sealift -n "__fish_sealift_using_subcommand put" -l exclude-from -d 'Leave out what the patterns in a file say, one on each line' -r -F
complete -c sealift -n "__fish_sealift_using_subcommand put" -l connections -d 'Share many files, or a large one, among up to so many connections [default: 2 if it helps]' -r
complete -c sealift -n "__fish_sealift_using_subcommand put" -l limit-rate -d 'Move at most so many bytes in a second, such as 500K or 2M; 1K at least' -r
complete -c sealift -n "__fish_sealift_using_subcommand put" -l retries -d 'After a lost connection, try so often in vain before giving up [default: 6]' -r
complete -c sealift -n "__fish_sealift_using_subcommand put" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand put" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand put" -l allow-empty -d 'Let an empty standard input replace a file that is not empty'
complete -c sealift -n "__fish_sealift_using_subcommand put" -s u -l update -d 'Leave files alone that are newer where they would be replaced'
complete -c sealift -n "__fish_sealift_using_subcommand put" -s n -l dry-run -d 'Say what would be done, and change nothing'
complete -c sealift -n "__fish_sealift_using_subcommand put" -l allow-changing -d 'Store files that are being written to as they are read, up to the length that they had'
complete -c sealift -n "__fish_sealift_using_subcommand put" -l links -d 'Transfer symbolic links in directories as links, instead of skipping them; one that is named is followed'
complete -c sealift -n "__fish_sealift_using_subcommand put" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand put" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand put" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand upload" -l stdin-from-command -d 'Run the command behind --, and store what it prints as DEST if it succeeds' -r
complete -c sealift -n "__fish_sealift_using_subcommand upload" -l exclude -d 'Leave out what matches a pattern, as in a .gitignore at the top of the tree; may be repeated' -r
complete -c sealift -n "__fish_sealift_using_subcommand upload" -l include -d 'Bring back what matches, although an --exclude leaves it out; may be repeated' -r
complete -c sealift -n "__fish_sealift_using_subcommand upload" -l exclude-from -d 'Leave out what the patterns in a file say, one on each line' -r -F
complete -c sealift -n "__fish_sealift_using_subcommand upload" -l connections -d 'Share many files, or a large one, among up to so many connections [default: 2 if it helps]' -r
complete -c sealift -n "__fish_sealift_using_subcommand upload" -l limit-rate -d 'Move at most so many bytes in a second, such as 500K or 2M; 1K at least' -r
complete -c sealift -n "__fish_sealift_using_subcommand upload" -l retries -d 'After a lost connection, try so often in vain before giving up [default: 6]' -r
complete -c sealift -n "__fish_sealift_using_subcommand upload" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand upload" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand upload" -l allow-empty -d 'Let an empty standard input replace a file that is not empty'
complete -c sealift -n "__fish_sealift_using_subcommand upload" -s u -l update -d 'Leave files alone that are newer where they would be replaced'
complete -c sealift -n "__fish_sealift_using_subcommand upload" -s n -l dry-run -d 'Say what would be done, and change nothing'
complete -c sealift -n "__fish_sealift_using_subcommand upload" -l allow-changing -d 'Store files that are being written to as they are read, up to the length that they had'
complete -c sealift -n "__fish_sealift_using_subcommand upload" -l links -d 'Transfer symbolic links in directories as links, instead of skipping them; one that is named is followed'
complete -c sealift -n "__fish_sealift_using_subcommand upload" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand upload" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand upload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand get" -l exclude -d 'Leave out what matches a pattern, as in a .gitignore at the top of the tree; may be repeated' -r
complete -c sealift -n "__fish_sealift_using_subcommand get" -l include -d 'Bring back what matches, although an --exclude leaves it out; may be repeated' -r
complete -c sealift -n "__fish_sealift_using_subcommand get" -l exclude-from -d 'Leave out what the patterns in a file say, one on each line' -r -F
complete -c sealift -n "__fish_sealift_using_subcommand get" -l connections -d 'Share many files, or a large one, among up to so many connections [default: 2 if it helps]' -r
complete -c sealift -n "__fish_sealift_using_subcommand get" -l limit-rate -d 'Move at most so many bytes in a second, such as 500K or 2M; 1K at least' -r
complete -c sealift -n "__fish_sealift_using_subcommand get" -l retries -d 'After a lost connection, try so often in vain before giving up [default: 6]' -r
complete -c sealift -n "__fish_sealift_using_subcommand get" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand get" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand get" -s u -l update -d 'Leave files alone that are newer where they would be replaced'
complete -c sealift -n "__fish_sealift_using_subcommand get" -s n -l dry-run -d 'Say what would be done, and change nothing'
complete -c sealift -n "__fish_sealift_using_subcommand get" -l links -d 'Transfer symbolic links in directories as links, instead of skipping them; one that is named is followed'
complete -c sealift -n "__fish_sealift_using_subcommand get" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand get" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand download" -l exclude -d 'Leave out what matches a pattern, as in a .gitignore at the top of the tree; may be repeated' -r
complete -c sealift -n "__fish_sealift_using_subcommand download" -l include -d 'Bring back what matches, although an --exclude leaves it out; may be repeated' -r
complete -c sealift -n "__fish_sealift_using_subcommand download" -l exclude-from -d 'Leave out what the patterns in a file say, one on each line' -r -F
complete -c sealift -n "__fish_sealift_using_subcommand download" -l connections -d 'Share many files, or a large one, among up to so many connections [default: 2 if it helps]' -r
complete -c sealift -n "__fish_sealift_using_subcommand download" -l limit-rate -d 'Move at most so many bytes in a second, such as 500K or 2M; 1K at least' -r
complete -c sealift -n "__fish_sealift_using_subcommand download" -l retries -d 'After a lost connection, try so often in vain before giving up [default: 6]' -r
complete -c sealift -n "__fish_sealift_using_subcommand download" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand download" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand download" -s u -l update -d 'Leave files alone that are newer where they would be replaced'
complete -c sealift -n "__fish_sealift_using_subcommand download" -s n -l dry-run -d 'Say what would be done, and change nothing'
complete -c sealift -n "__fish_sealift_using_subcommand download" -l links -d 'Transfer symbolic links in directories as links, instead of skipping them; one that is named is followed'
complete -c sealift -n "__fish_sealift_using_subcommand download" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand download" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand download" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand sync" -l exclude -d 'Leave out what matches a pattern, as in a .gitignore at the top of the tree; may be repeated' -r
complete -c sealift -n "__fish_sealift_using_subcommand sync" -l include -d 'Bring back what matches, although an --exclude leaves it out; may be repeated' -r
complete -c sealift -n "__fish_sealift_using_subcommand sync" -l exclude-from -d 'Leave out what the patterns in a file say, one on each line' -r -F
complete -c sealift -n "__fish_sealift_using_subcommand sync" -l connections -d 'Share many files, or a large one, among up to so many connections [default: 2 if it helps]' -r
complete -c sealift -n "__fish_sealift_using_subcommand sync" -l limit-rate -d 'Move at most so many bytes in a second, such as 500K or 2M; 1K at least' -r
complete -c sealift -n "__fish_sealift_using_subcommand sync" -l retries -d 'After a lost connection, try so often in vain before giving up [default: 6]' -r
complete -c sealift -n "__fish_sealift_using_subcommand sync" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand sync" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand sync" -l delete -d 'Delete what only DEST has, unless that is more than half of it'
complete -c sealift -n "__fish_sealift_using_subcommand sync" -l delete-anyway -d 'Delete what only DEST has, however much that is'
complete -c sealift -n "__fish_sealift_using_subcommand sync" -s c -l checksum -d 'Compare contents, not times of modification'
complete -c sealift -n "__fish_sealift_using_subcommand sync" -l allow-changing -d 'Store files that are being written to as they are read, up to the length that they had'
complete -c sealift -n "__fish_sealift_using_subcommand sync" -s n -l dry-run -d 'Say what would be done, and change nothing'
complete -c sealift -n "__fish_sealift_using_subcommand sync" -l links -d 'Transfer symbolic links in directories as links, instead of skipping them; one that is named is followed'
complete -c sealift -n "__fish_sealift_using_subcommand sync" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand sync" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand sync" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand ls" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand ls" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand ls" -s l -l long -d 'Long: with kind, owner, size and time'
complete -c sealift -n "__fish_sealift_using_subcommand ls" -s R -l recursive -d 'Recursive: with everything below'
complete -c sealift -n "__fish_sealift_using_subcommand ls" -s b -l bytes -d 'Sizes in bytes, as they also are where the output is no terminal'
complete -c sealift -n "__fish_sealift_using_subcommand ls" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand ls" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand list" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand list" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand list" -s l -l long -d 'Long: with kind, owner, size and time'
complete -c sealift -n "__fish_sealift_using_subcommand list" -s R -l recursive -d 'Recursive: with everything below'
complete -c sealift -n "__fish_sealift_using_subcommand list" -s b -l bytes -d 'Sizes in bytes, as they also are where the output is no terminal'
complete -c sealift -n "__fish_sealift_using_subcommand list" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand list" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand info" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand info" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand info" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand info" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand info" -s h -l help -d 'Print help'
complete -c sealift -n "__fish_sealift_using_subcommand stat" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand stat" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand stat" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand stat" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand stat" -s h -l help -d 'Print help'
complete -c sealift -n "__fish_sealift_using_subcommand rm" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand rm" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand rm" -s r -l recursive -d 'Delete directories with all that is in them'
complete -c sealift -n "__fish_sealift_using_subcommand rm" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand rm" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand delete" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand delete" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand delete" -s r -l recursive -d 'Delete directories with all that is in them'
complete -c sealift -n "__fish_sealift_using_subcommand delete" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand delete" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand delete" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand mv" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand mv" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand mv" -s n -l no-clobber -d 'Replace nothing: fail if the new path is taken'
complete -c sealift -n "__fish_sealift_using_subcommand mv" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand mv" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand mv" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand cp" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand cp" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand cp" -s n -l no-clobber -d 'Replace nothing: fail if the new path is taken'
complete -c sealift -n "__fish_sealift_using_subcommand cp" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand cp" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand cp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand log" -s n -l limit -d 'The most transfers to show; 0 for all' -r
complete -c sealift -n "__fish_sealift_using_subcommand log" -l direction -d 'Only this direction' -r -f -a "put\t'To the server'
get\t'From the server'"
complete -c sealift -n "__fish_sealift_using_subcommand log" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand log" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand log" -l failed -d 'Only what failed'
complete -c sealift -n "__fish_sealift_using_subcommand log" -l previews -d 'Also files that were only shown, as the desktop client does when one is selected'
complete -c sealift -n "__fish_sealift_using_subcommand log" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand log" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand whoami" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand whoami" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand whoami" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand whoami" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand whoami" -s h -l help -d 'Print help'
complete -c sealift -n "__fish_sealift_using_subcommand renew" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand renew" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand renew" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand renew" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand renew" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and not __fish_seen_subcommand_from list use rename remove help" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand profile; and not __fish_seen_subcommand_from list use rename remove help" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand profile; and not __fish_seen_subcommand_from list use rename remove help" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and not __fish_seen_subcommand_from list use rename remove help" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and not __fish_seen_subcommand_from list use rename remove help" -s h -l help -d 'Print help'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and not __fish_seen_subcommand_from list use rename remove help" -f -a "list" -d 'List the profiles with their identities, servers and the end of their certificates'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and not __fish_seen_subcommand_from list use rename remove help" -f -a "use" -d 'Select the profile that is meant when none is named'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and not __fish_seen_subcommand_from list use rename remove help" -f -a "rename" -d 'Give a profile another name'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and not __fish_seen_subcommand_from list use rename remove help" -f -a "remove" -d 'Remove a profile with its private key: to come back, this computer needs a new token'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and not __fish_seen_subcommand_from list use rename remove help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from list" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from list" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from list" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from use" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from use" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from use" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from use" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from use" -s h -l help -d 'Print help'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from rename" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from rename" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from rename" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from rename" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from rename" -s h -l help -d 'Print help'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from remove" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from remove" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from remove" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the profiles with their identities, servers and the end of their certificates'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "use" -d 'Select the profile that is meant when none is named'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "rename" -d 'Give a profile another name'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove a profile with its private key: to come back, this computer needs a new token'
complete -c sealift -n "__fish_sealift_using_subcommand profile; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sealift -n "__fish_sealift_using_subcommand clean" -l profile -d 'Which saved profile to use [env: SEALIFT_PROFILE]' -r
complete -c sealift -n "__fish_sealift_using_subcommand clean" -l server -d 'Reach the profile\'s server by this address instead; the port may be left out [env: SEALIFT_SERVER]' -r
complete -c sealift -n "__fish_sealift_using_subcommand clean" -s n -l dry-run -d 'Say what would be removed, and remove nothing'
complete -c sealift -n "__fish_sealift_using_subcommand clean" -l json -d 'Print JSON, one object on each line [env: SEALIFT_JSON]'
complete -c sealift -n "__fish_sealift_using_subcommand clean" -s q -l quiet -d 'Print no progress and no summaries [env: SEALIFT_QUIET]'
complete -c sealift -n "__fish_sealift_using_subcommand clean" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "join" -d 'Join a server with a token from its administrator'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "put" -d 'Store files and directories on the server'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "get" -d 'Fetch files and directories from the server'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "sync" -d 'Make a directory equal to another one, on the server or here'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "ls" -d 'List a directory'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "info" -d 'Show what the server knows about paths'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "rm" -d 'Delete files and directories on the server'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "mv" -d 'Move or rename a file or a directory on the server'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "cp" -d 'Copy a file or a directory on the server'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "log" -d 'Show the transfer log, newest first'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "whoami" -d 'Show who you are on the server, and what you may do there'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "renew" -d 'Renew this computer\'s certificate now'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "profile" -d 'List, select, rename and remove the saved profiles'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "clean" -d 'Remove what interrupted downloads left on this computer'
complete -c sealift -n "__fish_sealift_using_subcommand help; and not __fish_seen_subcommand_from join put get sync ls info rm mv cp log whoami renew profile clean help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sealift -n "__fish_sealift_using_subcommand help; and __fish_seen_subcommand_from profile" -f -a "list" -d 'List the profiles with their identities, servers and the end of their certificates'
complete -c sealift -n "__fish_sealift_using_subcommand help; and __fish_seen_subcommand_from profile" -f -a "use" -d 'Select the profile that is meant when none is named'
complete -c sealift -n "__fish_sealift_using_subcommand help; and __fish_seen_subcommand_from profile" -f -a "rename" -d 'Give a profile another name'
complete -c sealift -n "__fish_sealift_using_subcommand help; and __fish_seen_subcommand_from profile" -f -a "remove" -d 'Remove a profile with its private key: to come back, this computer needs a new token'
