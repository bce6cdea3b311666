#!/bin/sh
# DynamoDB Local, a program in Java that Maven brings; Maven and Java too where the system has none.
set -eu
. tests/setup/lib

have dynamodb-local && exit 0
say "bringing DynamoDB Local ..."
if ! command -v mvn >/dev/null || ! command -v javac >/dev/null; then
    unpack maven openjdk-17-jdk-headless
    # Settings are links to where an installed package has them.
    find "$cache/root/usr/lib/jvm" "$cache/root/usr/share/maven" -type l -lname '/*' | while read -r link; do
        [ ! -e "$cache/root$(readlink "$link")" ] || ln -sfn "$cache/root$(readlink "$link")" "$link"
    done
    JAVA_HOME=$(dirname "$(dirname "$(find "$cache/root/usr/lib/jvm" -path '*/bin/javac' -type f)")")
    PATH=$JAVA_HOME/bin:$cache/root/usr/share/maven/bin:$PATH
    export JAVA_HOME
fi
place=$cache/dynamodb
mkdir -p "$place"
mvn -q -B -f tests/setup/dynamodb/pom.xml dependency:copy-dependencies "-DoutputDirectory=$place/jars"
javac -cp "$place/jars/*" -d "$place" tests/setup/dynamodb/DynamoDbOnLoopback.java
java="exec $(command -v java) -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dsqlite4java.library.path=$place/jars"
starter dynamodb-local "$java -cp '$place:$place/jars/*' DynamoDbOnLoopback"
