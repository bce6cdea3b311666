#!/bin/sh
# ZooKeeper's server, a program in Java, which is brought too where the system has none.
set -eu
. tests/setup/lib

have zookeeper-server && exit 0
say "bringing ZooKeeper ..."
java=java
if have java; then
    unpack libzookeeper-java
else
    unpack libzookeeper-java openjdk-17-jre-headless
    java=$(find "$cache/root/usr/lib/jvm" -path '*/bin/java' -type f)
    # Its settings are links to where an installed package has them.
    find "$cache/root/usr/lib/jvm" -type l -lname '/etc/*' | while read -r link; do
        ln -sfn "$cache/root$(readlink "$link")" "$link"
    done
fi
classes=
for name in zookeeper zookeeper-jute slf4j-api slf4j-simple snappy-java metrics-core \
    netty-buffer netty-codec netty-common netty-handler netty-resolver netty-transport \
    netty-transport-native-epoll netty-transport-native-unix-common; do
    for jar in "$cache/root/usr/share/java/$name.jar" "/usr/share/java/$name.jar"; do
        if [ -e "$jar" ]; then
            classes=$classes:$jar
            break
        fi
    done
done
server=org.apache.zookeeper.server.quorum.QuorumPeerMain
starter zookeeper-server "exec $java \${JVMFLAGS:-} -cp '${classes#:}' $server"
