#!/bin/sh
# A server of MongoDB's wire protocol, a program in Java that Maven brings; Maven and Java too where the system has none.
set -eu
. tests/setup/lib

have mongodb-server && exit 0
say 'bringing a MongoDB server ...'
bring_java
place=$cache/mongodb
mkdir -p "$place"
mvn -q -B -f tests/setup/mongodb/pom.xml dependency:copy-dependencies "-DoutputDirectory=$place/jars"
javac -cp "$place/jars/*" -d "$place" tests/setup/mongodb/MongoOnLoopback.java
java="exec $(command -v java) -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
starter mongodb-server "$java -cp '$place:$place/jars/*' MongoOnLoopback"
