/** A whole screen: the component beneath a title, as the main part of an app. */

import { View } from "react-native";
import { BackupManagementComponent, type BackupManagementProps } from "./BackupManagementComponent";
import { Txt } from "./parts/Txt";

export interface BackupManagementScreenProps extends BackupManagementProps {
  /** The title; leave it out where the navigation of the app shows one. */
  title?: string;
}

export function BackupManagementScreen({ title, header, ...props }: BackupManagementScreenProps) {
  const heading =
    title === undefined ? null : (
      <Txt size="title" level={1}>
        {title}
      </Txt>
    );
  return (
    <View role="main" style={{ flex: 1 }}>
      <BackupManagementComponent
        {...props}
        header={
          <>
            {heading}
            {header}
          </>
        }
      />
    </View>
  );
}
